//! Encodes names as levels of a topic.

use std::borrow::Cow;

use crate::percent;

/// `name` as one topic level: `/`, `+`, `#`, `%` and control characters are percent-encoded byte by byte.
/// `%` too, so that two names never meet in one topic.
#[must_use]
pub fn level(name: &str) -> Cow<'_, str> {
    encode(name, false)
}

/// `zone` as topic levels: as [`level`], but its own `/` stays.
#[must_use]
pub fn levels(zone: &str) -> Cow<'_, str> {
    encode(zone, true)
}

fn encode(name: &str, keep_slash: bool) -> Cow<'_, str> {
    let reserved = |c: char| matches!(c, '+' | '#' | '%') || c.is_control() || (c == '/' && !keep_slash);
    if !name.contains(reserved) {
        return Cow::Borrowed(name);
    }
    let mut out = String::with_capacity(name.len() + 8);
    for c in name.chars() {
        if reserved(c) {
            percent::push(&mut out, c);
        } else {
            out.push(c);
        }
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encodes_what_a_topic_level_cannot_hold() {
        assert_eq!(level("lounge"), "lounge");
        assert_eq!(level("kitchen/lamp"), "kitchen%2Flamp");
        assert_eq!(level("a+b#c\n"), "a%2Bb%23c%0A");
        assert_eq!(level("50%"), "50%25");
        assert_eq!(level("\u{85}"), "%C2%85");
        assert_eq!(levels("floor-1/lounge"), "floor-1/lounge");
    }
}
