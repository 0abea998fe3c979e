//! Finds the subscribers of a topic: a tree with a node for each level of a filter.

use std::collections::HashMap;

use foldhash::fast::RandomState;

use super::SessionKey;
use crate::packet::QoS;
use crate::topic::ParsedFilter;

/// Who gets the messages of a filter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Subscriber {
    Session(SessionKey),
    /// An adapter of the gateway, by its number.
    Adapter(u16),
}

/// A subscriber with its options.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) subscriber: Subscriber,
    /// As [`super::records::options_byte`] has them.
    pub(crate) options: u8,
    pub(crate) identifier: Option<u32>,
}

impl Entry {
    pub(crate) const fn qos(self) -> QoS {
        match self.options & 3 {
            0 => QoS::AtMostOnce,
            1 => QoS::AtLeastOnce,
            _ => QoS::ExactlyOnce,
        }
    }

    pub(crate) const fn no_local(self) -> bool {
        self.options & 4 != 0
    }

    pub(crate) const fn retain_as_published(self) -> bool {
        self.options & 8 != 0
    }
}

/// The members that share a filter.
#[derive(Debug)]
struct Group {
    name: Box<str>,
    members: Vec<Entry>,
    /// Whose turn it is.
    next: usize,
}

#[derive(Debug, Default)]
struct Subscribers {
    each: Vec<Entry>,
    groups: Vec<Group>,
}

#[derive(Debug, Default)]
struct Node {
    children: HashMap<Box<str>, Node, RandomState>,
    /// Below `+`.
    any: Option<Box<Node>>,
    here: Subscribers,
    /// At `#`, which ends a filter.
    rest: Subscribers,
}

/// All subscriptions.
#[derive(Debug, Default)]
pub(crate) struct Subscriptions {
    root: Node,
    count: usize,
}

impl Subscribers {
    const fn is_empty(&self) -> bool {
        self.each.is_empty() && self.groups.is_empty()
    }

    fn insert(&mut self, group: Option<&str>, entry: Entry) -> bool {
        let entries = match group {
            None => &mut self.each,
            Some(name) => {
                let index = self.groups.iter().position(|group| *group.name == *name).unwrap_or_else(|| {
                    self.groups.push(Group { name: name.into(), members: Vec::new(), next: 0 });
                    self.groups.len() - 1
                });
                match self.groups.get_mut(index) {
                    Some(group) => &mut group.members,
                    None => return false,
                }
            }
        };
        match entries.iter_mut().find(|one| one.subscriber == entry.subscriber) {
            Some(known) => {
                *known = entry;
                false
            }
            None => {
                entries.push(entry);
                true
            }
        }
    }

    fn remove(&mut self, group: Option<&str>, subscriber: Subscriber) -> bool {
        let entries = match group {
            None => &mut self.each,
            Some(name) => match self.groups.iter_mut().find(|group| *group.name == *name) {
                Some(group) => &mut group.members,
                None => return false,
            },
        };
        let Some(index) = entries.iter().position(|one| one.subscriber == subscriber) else { return false };
        entries.swap_remove(index);
        if entries.is_empty() {
            self.groups.retain(|group| !group.members.is_empty());
        }
        true
    }

    fn visit(&mut self, visitor: &mut impl Visitor) {
        for entry in &self.each {
            visitor.found(*entry);
        }
        for group in &mut self.groups {
            // In turn among the members that can take the message at once; if none can, in turn among all.
            let count = group.members.len();
            let turn = |offset: usize| group.members.get((group.next + offset) % count.max(1)).copied();
            let chosen =
                (0..count).find(|offset| turn(*offset).is_some_and(|entry| visitor.is_connected(entry)));
            let offset = chosen.unwrap_or_default();
            if let Some(entry) = turn(offset) {
                visitor.found(entry);
            }
            group.next = (group.next + offset + 1) % count.max(1);
        }
    }
}

/// Learns who subscribes to a topic.
pub(crate) trait Visitor {
    /// Whether the member of a group can take the message at once.
    fn is_connected(&self, entry: Entry) -> bool;
    /// Called for every subscription that matches; of those that share a filter, for one.
    fn found(&mut self, entry: Entry);
}

impl Node {
    const fn subscribers(&mut self, at_rest: bool) -> &mut Subscribers {
        if at_rest { &mut self.rest } else { &mut self.here }
    }

    fn is_empty(&self) -> bool {
        self.children.is_empty() && self.any.is_none() && self.here.is_empty() && self.rest.is_empty()
    }

    fn remove(&mut self, filter: Option<&str>, group: Option<&str>, subscriber: Subscriber) -> bool {
        let Some(filter) = filter else { return self.here.remove(group, subscriber) };
        let (level, rest) = split(filter);
        match level {
            "#" => self.rest.remove(group, subscriber),
            "+" => {
                let Some(node) = &mut self.any else { return false };
                let removed = node.remove(rest, group, subscriber);
                if node.is_empty() {
                    self.any = None;
                }
                removed
            }
            _ => {
                let Some(node) = self.children.get_mut(level) else { return false };
                let removed = node.remove(rest, group, subscriber);
                if node.is_empty() {
                    self.children.remove(level);
                }
                removed
            }
        }
    }

    /// The recursion is as deep as a topic has levels: [`crate::topic::MAX_LEVELS`].
    fn find(&mut self, topic: Option<&str>, wildcards: bool, visitor: &mut impl Visitor) {
        if wildcards {
            self.rest.visit(visitor);
        }
        let Some(topic) = topic else { return self.here.visit(visitor) };
        let (level, rest) = split(topic);
        if let Some(node) = self.children.get_mut(level) {
            node.find(rest, true, visitor);
        }
        if let Some(node) = self.any.as_mut().filter(|_| wildcards) {
            node.find(rest, true, visitor);
        }
    }
}

fn split(filter: &str) -> (&str, Option<&str>) {
    filter.split_once('/').map_or((filter, None), |(level, rest)| (level, Some(rest)))
}

impl Subscriptions {
    /// Adds a subscription, or replaces that of the same subscriber and filter. Returns whether it is new.
    pub(crate) fn insert(&mut self, filter: ParsedFilter<'_>, entry: Entry) -> bool {
        let mut node = &mut self.root;
        let mut at_rest = false;
        for level in filter.filter.split('/') {
            match level {
                "#" => at_rest = true,
                "+" => node = node.any.get_or_insert_default(),
                _ => node = node.children.entry(level.into()).or_default(),
            }
        }
        let is_new = node.subscribers(at_rest).insert(filter.group, entry);
        self.count += usize::from(is_new);
        is_new
    }

    /// Returns whether there was one.
    pub(crate) fn remove(&mut self, filter: ParsedFilter<'_>, subscriber: Subscriber) -> bool {
        let removed = self.root.remove(Some(filter.filter), filter.group, subscriber);
        self.count -= usize::from(removed);
        removed
    }

    pub(crate) const fn len(&self) -> usize {
        self.count
    }

    /// Shows the visitor who subscribes to `topic`.
    pub(crate) fn find(&mut self, topic: &str, visitor: &mut impl Visitor) {
        // [MQTT-4.7.2-1]
        self.root.find(Some(topic), !topic.starts_with('$'), visitor);
    }
}
