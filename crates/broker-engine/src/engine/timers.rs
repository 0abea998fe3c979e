//! What happens by time alone: keep-alive, wills that were delayed, sessions and retained messages that end.

use super::connection::ConnectionKey;
use super::{Engine, Now};
use crate::packet::Version;
use crate::reason::Reason;

impl Engine {
    /// Call it about once a second.
    pub fn tick(&mut self, now: Now) {
        self.close_silent(now);
        let due: Vec<_> = self
            .sessions
            .iter()
            .filter(|(_, session)| session.connection.is_none())
            .filter(|(_, session)| {
                let will = session.will.as_ref().and_then(|will| will.due);
                [will, session.ends_at].iter().flatten().any(|at| *at <= now.monotonic)
            })
            .map(|(key, _)| key)
            .collect();
        for key in due {
            let Some(session) = self.sessions.get(key) else { continue };
            let ends = session.ends_at.is_some_and(|at| at <= now.monotonic);
            if session.will.as_ref().and_then(|will| will.due).is_some_and(|due| due <= now.monotonic) {
                self.publish_will(key, now);
            }
            if ends {
                self.stats.expired_sessions += 1;
                self.end_session(key, now);
            }
        }
        for topic in self.retained.expired(now) {
            self.clear_retained(&topic);
        }
        self.publish_system_topics(now);
    }

    /// A client is silent for one and a half times its keep-alive ([MQTT-3.1.2-22]).
    fn close_silent(&mut self, now: Now) {
        let silent: Vec<ConnectionKey> = self
            .connections
            .iter()
            // While its messages wait to be acknowledged it may not be read, and is not silent.
            .filter(|(_, one)| one.keep_alive > 0 && one.closing.is_none() && one.acks.len() == 0)
            .filter(|(_, one)| {
                let silence = now.monotonic.saturating_sub(one.last_received.monotonic);
                silence > u64::from(one.keep_alive) * 1_500
            })
            .map(|(index, one)| one.key(index))
            .collect();
        for key in silent {
            self.close_with(key, Reason::KeepAliveTimeout, "nothing came for one and a half keep-alives");
        }
    }

    /// The broker stops: every client of version 5 is told so, and nobody's will is published.
    pub fn shut_down(&mut self) {
        let keys: Vec<ConnectionKey> = self.connections.iter().map(|(index, one)| one.key(index)).collect();
        for key in keys {
            let Some(connection) = self.connection(key) else { continue };
            let session = connection.session;
            if connection.version == Version::V5 {
                self.close_with(key, Reason::ServerShuttingDown, "the gateway stops");
            } else if let Some(connection) = self.connection_mut(key) {
                connection.closing = Some(Reason::ServerShuttingDown);
                connection.woken = false;
                self.wake(key);
            }
            self.drop_will(session);
        }
        let _ = self.take_events();
    }

    /// Users and permissions have changed: who may not be connected any more is cut off, and so is who has a subscription
    /// that is not permitted any more.
    pub fn policy_changed(&mut self) {
        let sessions: Vec<_> = self.sessions.iter().map(|(key, _)| key).collect();
        for key in sessions {
            let Some(session) = self.sessions.get(key) else { continue };
            let user = session.user.as_deref();
            if session.is_internal {
                continue;
            }
            let connection = session.connection;
            let forbidden: Vec<_> = session
                .subscriptions
                .keys()
                .filter(|filter| {
                    let parsed = crate::topic::ParsedFilter::parse(filter);
                    !parsed.is_some_and(|one| self.policy.may_subscribe(user, &session.client, one.filter))
                })
                .cloned()
                .collect();
            let admitted = self.policy.admits(user);
            for filter in &forbidden {
                self.unsubscribe_one(key, filter);
            }
            if let Some(connection) = connection
                && (!forbidden.is_empty() || !admitted)
            {
                self.close_with(connection, Reason::NotAuthorized, "its permissions have changed");
            }
        }
    }
}
