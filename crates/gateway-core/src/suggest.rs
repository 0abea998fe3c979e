//! "Did you mean": finds the allowed name most similar to a misspelt one.

/// The one of `allowed` that `name` most probably stands for; `None` where nothing is near.
fn nearest<'a>(name: &str, allowed: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let name = name.to_lowercase();
    allowed
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(&name, &candidate.to_lowercase()), candidate))
        .filter(|(distance, candidate)| *distance <= tolerance(&name, candidate))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// A third of the longer name may differ, and at least one letter.
fn tolerance(name: &str, candidate: &str) -> usize {
    (name.chars().count().max(candidate.chars().count()) / 3).max(1)
}

/// `; did you mean "x"?`, or nothing.
#[must_use]
pub fn did_you_mean<'a>(name: &str, allowed: impl IntoIterator<Item = &'a str>) -> String {
    nearest(name, allowed).map(|found| format!("; did you mean \"{found}\"?")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_what_was_meant_and_only_that() {
        let keys = ["url", "topics", "username", "password_file"];
        assert_eq!(nearest("topcs", keys), Some("topics"));
        assert_eq!(nearest("Topics", keys), Some("topics"));
        assert_eq!(nearest("pasword-file", keys), Some("password_file"));
        assert_eq!(nearest("banana", keys), None);
        assert_eq!(nearest("", keys), None);
    }
}
