//! Topic names and topic filters (MQTT 5, section 4.7).

/// Levels that a topic or filter may have: 200 slashes, as mosquitto has it. The standard has no limit, but each level
/// costs memory and time.
pub const MAX_LEVELS: usize = 201;

/// Whether `text` may be published to: not empty, no wildcard, not too deep. (NUL and the length were checked when
/// it was decoded.)
#[must_use]
pub fn is_topic_name(text: &str) -> bool {
    let mut levels = 1;
    for byte in text.bytes() {
        match byte {
            b'#' | b'+' => return false,
            b'/' => levels += 1,
            _ => {}
        }
    }
    !text.is_empty() && levels <= MAX_LEVELS
}

/// Whether `text` may be subscribed to: `#` only as the last whole level, `+` only as a whole level.
#[must_use]
pub fn is_topic_filter(text: &str) -> bool {
    let mut levels = 0;
    let mut rest = text.split('/').peekable();
    while let Some(level) = rest.next() {
        levels += 1;
        let misplaced = match level {
            "#" => rest.peek().is_some(),
            "+" => false,
            _ => level.contains(['#', '+']),
        };
        if misplaced || levels > MAX_LEVELS {
            return false;
        }
    }
    !text.is_empty()
}

/// Whether `filter` matches `topic`. Topics that begin with `$` are not matched by a wildcard in the first level
/// ([MQTT-4.7.2-1]).
#[must_use]
pub fn matches(filter: &str, topic: &str) -> bool {
    if topic.starts_with('$') && filter.starts_with(['+', '#']) {
        return false;
    }
    let mut topic = topic.split('/');
    for level in filter.split('/') {
        if level == "#" {
            return true;
        }
        match topic.next() {
            Some(name) if level == "+" || level == name => {}
            _ => return false,
        }
    }
    topic.next().is_none()
}

/// The levels of `filter` before its first wildcard: every topic that it matches begins with them.
#[must_use]
pub fn literal_prefix(filter: &str) -> &str {
    let end = filter.find(['+', '#']).unwrap_or(filter.len());
    let prefix = filter.get(..end).unwrap_or(filter);
    // `a/#` matches `a` too.
    if filter.get(end..) == Some("#") { prefix.strip_suffix('/').unwrap_or(prefix) } else { prefix }
}

/// A topic filter, apart from the group that shares it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ParsedFilter<'a> {
    /// The group of `$share/{group}/{filter}` (section 4.8.2).
    pub group: Option<&'a str>,
    pub filter: &'a str,
}

impl<'a> ParsedFilter<'a> {
    /// `None` if it is no filter.
    #[must_use]
    pub fn parse(text: &'a str) -> Option<Self> {
        let Some(shared) = text.strip_prefix("$share/") else {
            return is_topic_filter(text).then_some(Self { group: None, filter: text });
        };
        let (group, filter) = shared.split_once('/')?;
        let valid = !group.is_empty() && !group.contains(['+', '#']) && is_topic_filter(filter);
        valid.then_some(Self { group: Some(group), filter })
    }
}
