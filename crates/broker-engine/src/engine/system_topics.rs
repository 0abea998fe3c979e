//! `$SYS/broker/…`: the figures that dashboards read, under the names that mosquitto gave them. `$SYS/riser/dropped/…`: messages that
//! were dropped, by cause.

use std::collections::HashMap;

use bytes::Bytes;

use super::load::Load;
use super::message::Message;
use super::{Engine, Now};
use crate::packet::QoS;

/// Seconds between two looks at the figures.
const PERIOD: u64 = 10;

#[derive(Debug)]
pub(crate) struct SystemTopics {
    started: Now,
    next: u64,
    last: HashMap<String, String>,
    load: Load,
}

impl SystemTopics {
    pub(crate) fn new(now: Now) -> Self {
        Self { started: now, next: 0, last: HashMap::new(), load: Load::new(now) }
    }
}

impl Engine {
    /// Publishes the figures that have changed, as retained messages that are not stored.
    pub(crate) fn publish_system_topics(&mut self, now: Now) {
        if now.monotonic < self.system.next {
            return;
        }
        self.system.next = now.monotonic + PERIOD * 1000;
        let uptime = now.monotonic.saturating_sub(self.system.started.monotonic) / 1000;
        let stats = self.stats();
        let load = self.system.load.update(&stats, now).into_iter();
        let load = load.map(|(name, value)| (format!("$SYS/broker/load/{name}"), value));
        let dropped = stats.dropped.by_cause().into_iter();
        let dropped =
            dropped.map(|(cause, count)| (format!("$SYS/riser/dropped/{cause}"), count.to_string()));
        let figures = self.figures(uptime).into_iter().map(|(name, value)| (name.to_owned(), value));
        for (topic, value) in figures.chain(load).chain(dropped) {
            if self.system.last.get(&topic) == Some(&value) {
                continue;
            }
            self.system.last.insert(topic.clone(), value.clone());
            let message = Message {
                topic: topic.into(),
                payload: Bytes::from(value),
                qos: QoS::AtMostOnce,
                retain: true,
                properties: Bytes::new(),
                expires: None,
                publisher: None,
            };
            let _ = self.publish(message, now);
        }
    }

    fn figures(&self, uptime: u64) -> Vec<(&'static str, String)> {
        let stats = self.stats();
        let connected = stats.connected;
        let away = stats.sessions.saturating_sub(connected);
        let dropped = stats.dropped.lost();
        vec![
            ("$SYS/broker/version", concat!("riser version ", env!("CARGO_PKG_VERSION")).to_owned()),
            ("$SYS/broker/uptime", format!("{uptime} seconds")),
            ("$SYS/broker/clients/total", stats.sessions.to_string()),
            ("$SYS/broker/clients/connected", connected.to_string()),
            ("$SYS/broker/clients/active", connected.to_string()),
            ("$SYS/broker/clients/disconnected", away.to_string()),
            ("$SYS/broker/clients/inactive", away.to_string()),
            ("$SYS/broker/clients/maximum", stats.most_connected.to_string()),
            ("$SYS/broker/clients/expired", stats.expired_sessions.to_string()),
            ("$SYS/broker/messages/received", stats.messages_received.to_string()),
            ("$SYS/broker/messages/sent", stats.messages_sent.to_string()),
            ("$SYS/broker/messages/stored", stats.retained.to_string()),
            ("$SYS/broker/store/messages/count", stats.retained.to_string()),
            ("$SYS/broker/store/messages/bytes", stats.retained_bytes.to_string()),
            ("$SYS/broker/retained messages/count", stats.retained.to_string()),
            ("$SYS/broker/subscriptions/count", stats.subscriptions.to_string()),
            ("$SYS/broker/publish/messages/received", stats.publish_received.to_string()),
            ("$SYS/broker/publish/messages/sent", stats.publish_sent.to_string()),
            ("$SYS/broker/publish/messages/dropped", dropped.to_string()),
            ("$SYS/broker/publish/bytes/received", stats.publish_bytes_received.to_string()),
            ("$SYS/broker/publish/bytes/sent", stats.publish_bytes_sent.to_string()),
            ("$SYS/broker/bytes/received", stats.bytes_received.to_string()),
            ("$SYS/broker/bytes/sent", stats.bytes_sent.to_string()),
            ("$SYS/broker/heap/current", stats.queued_bytes.to_string()),
        ]
    }
}
