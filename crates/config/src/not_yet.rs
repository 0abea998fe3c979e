//! What Riser's documents promise and this version does not have: a clearer message than "unknown key".
//!
//! A line here goes when its feature comes.

use gateway_core::findings::KeyPath;

/// Kinds of sinks.
const SINKS: &[&str] = &["display"];

/// The message for a key that is promised and not there yet.
pub(crate) fn key(path: &KeyPath) -> Option<String> {
    if let Some(kind) = SINKS.iter().find(|kind| path.matches(&format!("sinks.{kind}"))) {
        let present: Vec<&str> = sinks::kinds::all().iter().map(|kind| kind.name()).collect();
        return Some(format!(
            "this version of riser has no sink `{kind}` yet; it has: {}",
            present.join(", ")
        ));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_what_is_there_instead() {
        assert!(key(&KeyPath::of("sinks.display")).is_some());
        assert!(key(&KeyPath::of("adapters.other")).is_none());
    }
}
