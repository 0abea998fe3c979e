//! Topic filters with names in them: `sensors/{device}/telemetry`.
//!
//! `{device}` and `{metric}` stand for one level each, as `+` does, and say what that level is. With names that hold
//! `/` (zigbee2mqtt) a `{device}` at the end stands for all the levels that are left.

use std::fmt;

/// A text that is no topic filter; says what is allowed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{filter}` is no topic filter: {problem}")]
pub struct InvalidTopicFilter {
    /// The text.
    pub filter: String,
    /// What is wrong, and what is allowed.
    pub problem: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Level {
    Name(Box<str>),
    Any,
    Device,
    Metric,
}

/// A checked filter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicFilter {
    text: Box<str>,
    levels: Vec<Level>,
    /// Ends in `#`.
    open: bool,
}

/// What the levels of a topic are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Captures<'t> {
    /// What stood for `{device}`.
    pub device: Option<&'t str>,
    /// What stood for `{metric}`.
    pub metric: Option<&'t str>,
}

impl TopicFilter {
    /// Reads `levels/+/{device}/{metric}/#`.
    ///
    /// # Errors
    /// Where it is not of that form; the text of the error says why.
    pub fn parse(text: &str) -> Result<Self, InvalidTopicFilter> {
        let invalid = |problem| InvalidTopicFilter { filter: text.chars().take(200).collect(), problem };
        if text.is_empty() {
            return Err(invalid("it is empty; write # for every topic"));
        }
        if text.len() > 65_535 || text.contains('\0') {
            return Err(invalid("it is longer than 65,535 bytes or contains NUL"));
        }
        if text.starts_with("$share/") {
            return Err(invalid(
                "a shared subscription would take only some of the messages; leave $share/… out",
            ));
        }
        let (levels, open) = match text.strip_suffix('#') {
            Some("") => ("", true),
            Some(levels) => (
                levels
                    .strip_suffix('/')
                    .ok_or_else(|| invalid("# must be a whole level, and the last one"))?,
                true,
            ),
            None => (text, false),
        };
        let mut parsed = Vec::new();
        if text != "#" {
            for level in levels.split('/') {
                let level = parse_level(level).map_err(invalid)?;
                if matches!(level, Level::Device | Level::Metric) && parsed.contains(&level) {
                    return Err(invalid("{device} and {metric} can each stand in it once"));
                }
                parsed.push(level);
            }
        }
        Ok(Self { text: text.into(), levels: parsed, open })
    }

    /// As it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether it says which device a message is from.
    #[must_use]
    pub fn names_device(&self) -> bool {
        self.levels.contains(&Level::Device)
    }

    /// The filter to subscribe to: `+` for each capture; `#` in place of a last `{device}` whose name may hold `/`.
    #[must_use]
    pub fn subscription(&self, names_with_slashes: bool) -> String {
        let (levels, open) = match self.before_names() {
            Some(before) if names_with_slashes => (before, true),
            _ => (self.levels.as_slice(), self.open),
        };
        let names = levels.iter().map(|level| match level {
            Level::Name(name) => name,
            Level::Any | Level::Device | Level::Metric => "+",
        });
        names.chain(open.then_some("#")).collect::<Vec<_>>().join("/")
    }

    /// What the topic's levels are, where it matches (MQTT 5, section 4.7: a topic that begins with `$` never matches
    /// a filter that begins with a wildcard or a capture).
    #[must_use]
    pub fn matches<'t>(&self, topic: &'t str) -> Option<Captures<'t>> {
        let (captures, rest) = match_levels(&self.levels, self.open, topic)?;
        (rest.is_none() || self.open).then_some(captures)
    }

    /// As [`Self::matches`] for zigbee2mqtt: a `{device}` at the end is all that is left of the topic, `/` included;
    /// `…/availability` is passed on under the name before it; `bridge/…`, `…/set…` and `…/get…` do not match.
    #[must_use]
    pub fn matches_names_with_slashes<'t>(&self, topic: &'t str) -> Option<Captures<'t>> {
        let Some(before) = self.before_names() else { return self.matches(topic) };
        let (captures, rest) = match_levels(before, false, topic)?;
        if before.is_empty() && topic.starts_with('$') {
            return None;
        }
        let device = zigbee2mqtt_name(rest?)?;
        Some(Captures { device: Some(device), ..captures })
    }

    /// The part of a topic that matches, up to the device's level: `v3/floors@ttn/devices/lounge`.
    #[must_use]
    pub fn device_part<'t>(&self, topic: &'t str) -> Option<&'t str> {
        let place = self.levels.iter().position(|level| *level == Level::Device)?;
        let end = topic.match_indices('/').nth(place).map_or(topic.len(), |(at, _)| at);
        topic.get(..end)
    }

    /// [`Self::device_part`] of `device`'s topics, where no wildcard stands before `{device}`.
    #[must_use]
    pub fn device_part_of(&self, device: &str) -> Option<String> {
        let place = self.levels.iter().position(|level| *level == Level::Device)?;
        let named = self.levels.iter().take(place).map(|level| match level {
            Level::Name(name) => Some(&**name),
            Level::Any | Level::Device | Level::Metric => None,
        });
        let levels: Vec<&str> = named.chain([Some(device)]).collect::<Option<_>>()?;
        Some(levels.join("/"))
    }

    /// The levels before a last `{device}`.
    fn before_names(&self) -> Option<&[Level]> {
        match self.levels.split_last() {
            Some((Level::Device, before)) if !self.open => Some(before),
            _ => None,
        }
    }
}

impl fmt::Display for TopicFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

fn parse_level(level: &str) -> Result<Level, &'static str> {
    match level {
        "+" => Ok(Level::Any),
        "{device}" => Ok(Level::Device),
        "{metric}" => Ok(Level::Metric),
        _ if level.contains('#') => Err("# must be a whole level, and the last one"),
        _ if level.contains('+') => Err("+ must be a whole level"),
        _ if level.contains("{device}") || level.contains("{metric}") => {
            Err("{device} and {metric} must be whole levels, as in sensors/{device}/{metric}")
        }
        _ if level.contains(['{', '}']) => Err("only {device} and {metric} can stand in braces"),
        _ => Ok(Level::Name(level.into())),
    }
}

/// The captures of `levels`, and what is left of the topic after them (none: it ends there). Where `open`, a topic
/// that ends with the levels matches too: `a/#` matches `a`.
fn match_levels<'t>(levels: &[Level], open: bool, topic: &'t str) -> Option<(Captures<'t>, Option<&'t str>)> {
    let wild = levels.first().map_or(open, |first| !matches!(first, Level::Name(_)));
    if topic.is_empty() || (wild && topic.starts_with('$')) {
        return None;
    }
    let mut captures = Captures::default();
    let mut rest = Some(topic);
    for level in levels {
        let (name, after) = match rest?.split_once('/') {
            Some((name, after)) => (name, Some(after)),
            None => (rest?, None),
        };
        match level {
            Level::Name(expected) if **expected != *name => return None,
            Level::Name(_) | Level::Any => {}
            Level::Device => captures.device = Some(name),
            Level::Metric => captures.metric = Some(name),
        }
        rest = after;
    }
    Some((captures, rest))
}

/// The device in what follows zigbee2mqtt's base topic, where it is a device's.
fn zigbee2mqtt_name(rest: &str) -> Option<&str> {
    let first = rest.split('/').next();
    if first == Some("bridge") || rest.split('/').any(|level| matches!(level, "set" | "get")) {
        return None;
    }
    let name = if rest == "availability" { "" } else { rest.strip_suffix("/availability").unwrap_or(rest) };
    (!name.is_empty()).then_some(name)
}

#[cfg(test)]
mod tests;
