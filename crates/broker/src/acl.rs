//! Permissions: matches topics (MQTT 5, section 4.7) and whole subscriptions against topic filters.

/// The text is not a valid topic filter.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{filter}` is no topic filter: {problem}")]
pub struct InvalidFilter {
    /// The refused text.
    pub filter: String,
    /// What is wrong, and what is allowed.
    pub problem: &'static str,
}

/// Checks the form of a filter.
///
/// # Errors
/// `filter` is empty or longer than 65,535 bytes, holds NUL, or has a wildcard in the wrong place.
pub fn validate_filter(filter: &str) -> Result<(), InvalidFilter> {
    let mut levels = filter.split('/').peekable();
    let mut problem = None;
    while let Some(level) = levels.next() {
        if level.contains('#') && (level != "#" || levels.peek().is_some()) {
            problem = Some("# must be a whole level, and the last one");
        } else if level.contains('+') && level != "+" {
            problem = Some("+ must be a whole level");
        }
    }
    if filter.is_empty() {
        problem = Some("it is empty; write # for everything");
    } else if filter.len() > 65_535 || filter.contains('\0') {
        problem = Some("it is longer than 65,535 bytes or contains NUL");
    }
    problem.map_or(Ok(()), |problem| Err(InvalidFilter { filter: filter.to_owned(), problem }))
}

/// Whether every topic that `wanted` matches is matched by `allowed` too. A topic without wildcards is a filter that
/// matches itself, so this also decides whether a publish to it is permitted.
#[must_use]
pub fn covers(allowed: &str, wanted: &str) -> bool {
    if wanted.starts_with('$') && allowed.starts_with(['+', '#']) {
        return false; // [MQTT-4.7.2-1]
    }
    let mut wanted = wanted.split('/');
    for allowed in allowed.split('/') {
        if allowed == "#" {
            return true;
        }
        match wanted.next() {
            Some("#") | None => return false,
            Some(level) if allowed != "+" && level != allowed => return false,
            Some(_) => {}
        }
    }
    // `a` does not cover `a/b`, nor `a/#`.
    wanted.next().is_none()
}

/// A topic filter with `%u` for the user name and `%c` for the client id.
#[derive(Debug, Clone)]
pub(crate) struct Permission {
    filter: String,
    has_pattern: bool,
}

impl Permission {
    pub(crate) fn new(filter: &str) -> Self {
        Self { filter: filter.to_owned(), has_pattern: filter.contains("%u") || filter.contains("%c") }
    }

    /// As [`covers`], for one client.
    pub(crate) fn covers(&self, wanted: &str, user: Option<&str>, client: &str) -> bool {
        if !self.has_pattern {
            return covers(&self.filter, wanted);
        }
        // A name with a wildcard or a level in it would permit more than was meant.
        let is_plain = |name: &str| !name.is_empty() && !name.contains(['+', '#', '/']);
        let names_user = self.filter.contains("%u");
        let names_client = self.filter.contains("%c");
        let user = user.unwrap_or_default();
        if names_user && !is_plain(user) || names_client && !is_plain(client) {
            return false;
        }
        // Only one after the other, so that a client named %u stays one.
        let mut filter = String::with_capacity(self.filter.len() + client.len() + user.len());
        let mut rest = self.filter.as_str();
        while let Some((before, after)) = rest.split_once('%') {
            filter.push_str(before);
            let (name, skipped) = match after.as_bytes().first() {
                Some(b'u') => (user, 1),
                Some(b'c') => (client, 1),
                _ => ("%", 0),
            };
            filter.push_str(name);
            rest = after.get(skipped..).unwrap_or_default();
        }
        filter.push_str(rest);
        covers(&filter, wanted)
    }
}

#[cfg(test)]
mod tests;
