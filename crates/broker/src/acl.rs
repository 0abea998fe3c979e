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

/// The filter inside `$share/{group}/{filter}`, or the filter itself.
pub(crate) fn unshared(filter: &str) -> &str {
    filter
        .strip_prefix("$share/")
        .and_then(|rest| rest.split_once('/'))
        .map_or(filter, |(_group, inner)| inner)
}

#[cfg(test)]
mod tests;
