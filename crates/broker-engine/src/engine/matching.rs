//! Who gets a message: every session once, however many of its subscriptions match ([MQTT-3.3.4-2] permits it).

use slab::Slab;
use smallvec::SmallVec;

use super::message::Message;
use super::session::Session;
use super::subscriptions::{Entry, Subscriber, Visitor};
use super::{Engine, SessionKey};
use crate::packet::QoS;

/// A session that gets the message: with the highest QoS and all identifiers of its subscriptions.
#[derive(Debug)]
pub(crate) struct Match {
    pub(crate) session: SessionKey,
    pub(crate) qos: QoS,
    pub(crate) retain_as_published: bool,
    pub(crate) identifiers: SmallVec<[u32; 2]>,
}

/// All who get it.
#[derive(Debug)]
pub(crate) struct Matches<'a> {
    pub(crate) sessions: SmallVec<[Match; 4]>,
    /// Adapters, by number.
    pub(crate) adapters: SmallVec<[u16; 2]>,
    /// A subscription matches, if only the publisher's own with No Local.
    pub(crate) found_any: bool,
    table: &'a mut Slab<Session>,
    route: u64,
    qos: QoS,
    from: Option<SessionKey>,
}

impl Visitor for Matches<'_> {
    fn is_connected(&self, entry: Entry) -> bool {
        match entry.subscriber {
            Subscriber::Session(key) => {
                self.table.get(key).is_some_and(|session| session.connection.is_some())
            }
            Subscriber::Adapter(_) => true,
        }
    }

    fn found(&mut self, entry: Entry) {
        self.found_any = true;
        let key = match entry.subscriber {
            Subscriber::Adapter(adapter) => {
                if !self.adapters.contains(&adapter) {
                    self.adapters.push(adapter);
                }
                return;
            }
            Subscriber::Session(key) => key,
        };
        if entry.no_local() && self.from == Some(key) {
            return;
        }
        let Some(session) = self.table.get_mut(key) else { return };
        let qos = entry.qos().min(self.qos);
        if session.matched.0 != self.route {
            session.matched = (self.route, u32::try_from(self.sessions.len()).unwrap_or(u32::MAX));
            self.sessions.push(Match {
                session: key,
                qos,
                retain_as_published: entry.retain_as_published(),
                identifiers: entry.identifier.into_iter().collect(),
            });
        } else if let Some(known) = self.sessions.get_mut(session.matched.1 as usize) {
            known.qos = known.qos.max(qos);
            known.retain_as_published |= entry.retain_as_published();
            known.identifiers.extend(entry.identifier);
        }
    }
}

/// The adapters among the subscribers.
struct Adapters(SmallVec<[u16; 2]>);

impl Visitor for Adapters {
    fn is_connected(&self, _: Entry) -> bool {
        true
    }

    fn found(&mut self, entry: Entry) {
        if let Subscriber::Adapter(adapter) = entry.subscriber
            && !self.0.contains(&adapter)
        {
            self.0.push(adapter);
        }
    }
}

impl Engine {
    pub(crate) fn subscribers(&mut self, message: &Message, from: Option<SessionKey>) -> Matches<'_> {
        self.route += 1;
        let mut matches = Matches {
            sessions: SmallVec::new(),
            adapters: SmallVec::new(),
            found_any: false,
            table: &mut self.sessions,
            route: self.route,
            qos: message.qos,
            from,
        };
        self.subscriptions.find(&message.topic, &mut matches);
        matches
    }

    pub(crate) fn adapters_of(&mut self, topic: &str) -> SmallVec<[u16; 2]> {
        let mut adapters = Adapters(SmallVec::new());
        self.subscriptions.find(topic, &mut adapters);
        adapters.0
    }
}
