//! Which topic of one broker is which of the other.

use super::config::{Bridge, BridgeTopic, Direction};
use crate::covers;

/// The topics of a bridge.
#[derive(Debug, Clone)]
pub(crate) struct TopicMap(Vec<Entry>);

#[derive(Debug, Clone)]
struct Entry {
    direction: Direction,
    local: Side,
    remote: Side,
}

/// The topics of an entry at one broker.
#[derive(Debug, Clone)]
struct Side {
    prefix: String,
    filter: String,
}

impl Side {
    fn new(prefix: &str, filter: &str) -> Self {
        Self { prefix: prefix.to_owned(), filter: format!("{prefix}{filter}") }
    }

    /// The same topic at the `other` broker, if the entry is for it.
    fn map(&self, topic: &str, other: &Self) -> Option<String> {
        let rest = topic.strip_prefix(&self.prefix).filter(|_| covers(&self.filter, topic))?;
        Some(format!("{}{rest}", other.prefix))
    }
}

impl Entry {
    fn goes_out(&self) -> bool {
        self.direction != Direction::In
    }

    fn comes_in(&self) -> bool {
        self.direction != Direction::Out
    }
}

impl TopicMap {
    pub(crate) fn new(topics: &[BridgeTopic]) -> Self {
        let entry = |topic: &BridgeTopic| Entry {
            direction: topic.direction,
            local: Side::new(&topic.local_prefix, &topic.filter),
            remote: Side::new(&topic.remote_prefix, &topic.filter),
        };
        Self(topics.iter().map(entry).collect())
    }

    /// What the bridge subscribes to at this broker.
    pub(crate) fn local_filters(&self) -> Vec<String> {
        unique(self.0.iter().filter(|one| one.goes_out()).map(|one| &one.local.filter))
    }

    /// What it subscribes to at the other one.
    pub(crate) fn remote_filters(&self) -> Vec<String> {
        unique(self.0.iter().filter(|one| one.comes_in()).map(|one| &one.remote.filter))
    }

    /// The topic at the other broker of a message that goes out.
    pub(crate) fn to_remote(&self, topic: &str) -> Option<String> {
        self.0.iter().filter(|one| one.goes_out()).find_map(|one| one.local.map(topic, &one.remote))
    }

    /// The topic at this broker of a message that comes in.
    pub(crate) fn to_local(&self, topic: &str) -> Option<String> {
        self.0.iter().filter(|one| one.comes_in()).find_map(|one| one.remote.map(topic, &one.local))
    }
}

fn unique<'a>(filters: impl Iterator<Item = &'a String>) -> Vec<String> {
    let mut unique: Vec<String> = filters.cloned().collect();
    unique.sort_unstable();
    unique.dedup();
    unique
}

/// A filter at the other broker that brings back what the bridge itself published there, if the broker does not keep it back.
pub(crate) fn echo(bridge: &Bridge) -> Option<String> {
    let map = TopicMap::new(&bridge.topics);
    let sent: Vec<&Entry> = map.0.iter().filter(|one| one.goes_out()).collect();
    let comes_back = |filter: &String| sent.iter().any(|one| overlap(&one.remote.filter, filter));
    map.remote_filters().into_iter().find(comes_back)
}

/// Whether some topic matches both filters.
fn overlap(a: &str, b: &str) -> bool {
    let (mut a, mut b) = (a.split('/'), b.split('/'));
    loop {
        match (a.next(), b.next()) {
            (Some("#"), _) | (_, Some("#")) | (None, None) => return true,
            (Some(one), Some(other)) if one == other || one == "+" || other == "+" => {}
            _ => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn topic(filter: &str, direction: Direction, local: &str, remote: &str) -> BridgeTopic {
        BridgeTopic {
            filter: filter.to_owned(),
            direction,
            local_prefix: local.to_owned(),
            remote_prefix: remote.to_owned(),
        }
    }

    #[test]
    fn prefixes_are_exchanged_and_the_first_entry_counts() {
        let map = TopicMap::new(&[
            topic("sensors/#", Direction::Out, "", "hq/"),
            topic("set/+", Direction::In, "devices/", "hq/"),
            topic("", Direction::Both, "here", "there/one"),
            topic("#", Direction::Out, "", "rest/"),
        ]);
        let out = |topic| map.to_remote(topic);
        assert_eq!(out("sensors/a/b").as_deref(), Some("hq/sensors/a/b"));
        assert_eq!(out("sensors").as_deref(), Some("hq/sensors"));
        assert_eq!(out("here").as_deref(), Some("there/one"));
        assert_eq!(out("other").as_deref(), Some("rest/other"));
        assert_eq!(out("$SYS/broker/uptime"), None);
        let come_in = |topic| map.to_local(topic);
        assert_eq!(come_in("hq/set/a").as_deref(), Some("devices/set/a"));
        assert_eq!(come_in("there/one").as_deref(), Some("here"));
        assert_eq!(come_in("hq/set/a/b"), None);
        assert_eq!(come_in("hq/sensors/a"), None);
        assert_eq!(map.local_filters(), ["#", "here", "sensors/#"]);
        assert_eq!(map.remote_filters(), ["hq/set/+", "there/one"]);
    }

    #[test]
    fn what_would_come_back_is_found() {
        let bridge = |topics: &[BridgeTopic]| Bridge { topics: topics.to_vec(), ..Bridge::default() };
        let apart = [topic("a/#", Direction::Out, "", "hq/"), topic("b/#", Direction::In, "", "hq/")];
        assert_eq!(echo(&bridge(&apart)), None);
        let crossing = [topic("a/+/x", Direction::Out, "", ""), topic("+/b/#", Direction::In, "", "")];
        assert_eq!(echo(&bridge(&crossing)).as_deref(), Some("+/b/#"));
        assert_eq!(echo(&bridge(&[topic("a", Direction::Both, "", "")])).as_deref(), Some("a"));
        for (a, b, expected) in [("a", "a/b", false), ("a/#", "a", true), ("+", "a/b", false)] {
            assert_eq!(overlap(a, b), expected, "{a} {b}");
        }
    }
}
