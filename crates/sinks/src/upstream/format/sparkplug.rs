//! `format = "sparkplug"`: the gateway is an edge node of Sparkplug B 3.0, and each device or zone a device of it.
//!
//! - After each connect NBIRTH comes first, then the DBIRTH of each known device; no DDATA comes before the DBIRTH that names
//!   its metrics. Alerts overtake the DBIRTHs of other devices, except after a rebirth request.
//! - `seq` has no gap over the messages of a connection: a number is used only when its message is sent.
//! - A DBIRTH repeats values that were sent, with their times. Each record is in exactly one DDATA (more only if it is sent
//!   again because its PUBACK was lost).

mod devices;
mod payload;

use std::borrow::Cow;
use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use gateway_core::ports::Clock;
use gateway_core::topic::level;
use gateway_core::{AlertKind, AlertState, Timestamp};
use mqtt_link::{Qos, Will, WillSource};
use prost::Message as _;
use record::Record;

use super::fields::{Field, Value, fields, time};
use super::{Connection, Encoder, Outgoing, Point};
use devices::{Devices, MAX_METRICS};
use payload::{DataType, Metric, MetricValue, Payload, REBIRTH, asks_for_rebirth, millis};

pub(super) struct Sparkplug {
    topics: Topics,
    /// The `bdSeq` of the first attempt to connect. Each attempt has the next one.
    first_bd_seq: u64,
    bd_seq: u8,
    /// The number of the next message.
    seq: u8,
    /// The newest record that was stored when the connection was established.
    stored_before: u64,
    /// NBIRTH is to be sent.
    node_birth: bool,
    /// The births are an answer to a rebirth request: no data before their end.
    births_first: bool,
    /// Devices whose DBIRTH is to be sent although no record of theirs waits.
    births: VecDeque<Arc<str>>,
    /// Devices whose DDEATH may be due.
    deaths: BTreeSet<Arc<str>>,
    devices: Devices,
    /// What is true once the last message is sent.
    pending: Option<Change>,
}

/// What a message changes.
#[derive(Debug)]
enum Change {
    NodeBirth,
    Birth(Arc<str>),
    Death(Arc<str>),
    Data { device: Arc<str>, values: Vec<(String, Value)>, at: Timestamp, news: News },
}

/// What a record says of its device's silence.
#[derive(Debug)]
enum News {
    Silent {
        rule: String,
    },
    Heard {
        rule: String,
    },
    /// All of its readings came at this time or later.
    Readings {
        since: Timestamp,
    },
    None,
}

impl Sparkplug {
    /// `started` makes it improbable that an NDEATH of an earlier run has the `bdSeq` of this one.
    pub(super) fn new(prefix: &str, gateway: &str, started: Timestamp) -> Self {
        Self {
            topics: Topics { group: level(prefix).into_owned(), node: level(gateway).into_owned() },
            first_bd_seq: (millis(started) / 1000) % 256,
            bd_seq: 0,
            seq: 0,
            stored_before: 0,
            node_birth: false,
            births_first: false,
            births: VecDeque::new(),
            deaths: BTreeSet::new(),
            devices: Devices::new(MAX_METRICS),
            pending: None,
        }
    }

    /// NBIRTH and all DBIRTHs are to be sent.
    fn begin_births(&mut self) {
        self.node_birth = true;
        self.births = self.devices.forget_births().into();
        self.deaths.clear();
        self.pending = None;
    }

    fn numbered(&self, topic: String, metrics: Vec<Metric>, now: Timestamp) -> Outgoing {
        let payload = Payload { timestamp: Some(millis(now)), metrics, seq: Some(self.seq.into()) };
        Outgoing { topic, payload: payload.encode_to_vec() }
    }

    fn node_birth(&mut self, now: Timestamp) -> Outgoing {
        // NBIRTH begins the numbers anew, also after a rebirth request.
        self.seq = 0;
        self.pending = Some(Change::NodeBirth);
        let rebirth = Metric {
            is_null: None,
            value: Some(MetricValue::Boolean(false)),
            ..Metric::new(REBIRTH, DataType::Boolean, None, now)
        };
        let text = |name, text: &str| {
            let value = Value::Text(text.to_owned());
            Metric::new(name, DataType::String, Some(&value), now)
        };
        let metrics = vec![
            bd_seq(self.bd_seq, now),
            rebirth,
            text("Properties/Software", "Riser"),
            text("Properties/Version", env!("CARGO_PKG_VERSION")),
        ];
        self.numbered(self.topics.node("NBIRTH"), metrics, now)
    }

    /// The DBIRTH of a device, if it is known and not born.
    fn birth(&mut self, name: &str, now: Timestamp) -> Option<Outgoing> {
        let metrics = self.devices.get(name).filter(|device| !device.is_born)?.birth(now);
        self.pending = Some(Change::Birth(Arc::from(name)));
        Some(self.numbered(self.topics.device("DBIRTH", name), metrics, now))
    }

    /// The next DBIRTH of a device of which no record waits.
    fn next_birth(&mut self, now: Timestamp) -> Option<Outgoing> {
        while let Some(name) = self.births.front().cloned() {
            let is_due = self.devices.get(&name).is_some_and(|device| !device.is_born && !device.is_silent());
            if is_due {
                return self.birth(&name, now);
            }
            self.births.pop_front();
        }
        self.births_first = false;
        None
    }

    fn next_death(&mut self, now: Timestamp) -> Option<Outgoing> {
        while let Some(name) = self.deaths.first().cloned() {
            if self.devices.get(&name).is_some_and(|device| device.is_born && device.is_silent()) {
                let message = self.numbered(self.topics.device("DDEATH", &name), Vec::new(), now);
                self.pending = Some(Change::Death(name));
                return Some(message);
            }
            self.deaths.pop_first();
        }
        None
    }

    fn death_may_be_due(&mut self, name: Arc<str>) {
        self.deaths.insert(name);
        if self.deaths.len() > self.devices.len() {
            self.deaths.retain(|name| self.devices.get(name).is_some());
        }
    }

    fn apply(&mut self, change: Change) {
        match change {
            Change::NodeBirth => self.node_birth = false,
            Change::Birth(name) => {
                if let Some(device) = self.devices.get_mut(&name) {
                    device.is_born = true;
                    if device.is_silent() {
                        self.death_may_be_due(name);
                    }
                }
            }
            Change::Death(name) => {
                if let Some(device) = self.devices.get_mut(&name) {
                    device.is_born = false;
                }
            }
            Change::Data { device: name, values, at, news } => {
                let Some(device) = self.devices.get_mut(&name) else { return };
                device.sent(values, at);
                match news {
                    News::Silent { rule } => {
                        device.fell_silent(&rule, at);
                        self.death_may_be_due(name);
                    }
                    News::Heard { rule } => device.is_heard_again(&rule),
                    News::Readings { since } => device.was_heard(since),
                    News::None => {}
                }
            }
        }
    }
}

impl Encoder for Sparkplug {
    fn subscriptions(&self) -> Vec<(String, Qos)> {
        vec![(self.topics.node("NCMD"), Qos::AtLeastOnce)]
    }

    fn will(&self) -> Option<WillSource> {
        let (topic, first) = (self.topics.node("NDEATH"), self.first_bd_seq);
        Some(WillSource::new(move |attempt| Will {
            topic: topic.clone(),
            payload: node_death(bd_seq_of(first, attempt)).into(),
            retain: false,
        }))
    }

    fn connected(&mut self, connection: Connection) {
        self.bd_seq = bd_seq_of(self.first_bd_seq, connection.attempt);
        self.stored_before = connection.newest;
        self.births_first = false;
        self.begin_births();
    }

    fn received(&mut self, topic: &str, payload: &[u8]) {
        // While the births of an earlier request are on their way, they are the answer to this one too.
        let is_under_way = self.node_birth || self.births_first;
        if topic == self.topics.node("NCMD") && asks_for_rebirth(payload) && !is_under_way {
            tracing::info!("upstream: a Sparkplug host asks for a rebirth");
            self.births_first = true;
            self.begin_births();
        }
    }

    fn control(&mut self, point: Point<'_>, clock: &dyn Clock) -> Option<Outgoing> {
        match point {
            Point::First if self.node_birth => Some(self.node_birth(clock.now())),
            Point::First if self.births_first => self.next_birth(clock.now()),
            Point::First => None,
            Point::BeforeAggregates if self.births.is_empty() => None,
            Point::BeforeAggregates => self.next_birth(clock.now()),
            Point::Before(record) => {
                let name = device_name(record);
                self.devices.add(&name, &fields(record, 0, as_it_is));
                self.birth(&name, clock.now())
            }
            Point::Idle if self.deaths.is_empty() => None,
            Point::Idle => self.next_death(clock.now()),
        }
    }

    fn data(&mut self, record: &Record, number: u64, clock: &dyn Clock) -> Outgoing {
        let (name, at) = (device_name(record), time(record));
        let device = self.devices.get(&name);
        let was_stored = number <= self.stored_before;
        let (mut metrics, mut values) = (Vec::new(), Vec::new());
        for Field { name, value, .. } in fields(record, number, as_it_is) {
            let mut metric = Metric::new(&name, DataType::of(&value), Some(&value), at);
            let is_old = was_stored || device.is_some_and(|device| device.has_newer(&name, at));
            metric.is_historical = is_old.then_some(true);
            metrics.push(metric);
            values.push((name, value));
        }
        let message = self.numbered(self.topics.device("DDATA", &name), metrics, clock.now());
        self.pending = Some(Change::Data { device: Arc::from(&*name), values, at, news: news(record) });
        message
    }

    fn submitted(&mut self) {
        if let Some(change) = self.pending.take() {
            self.seq = self.seq.wrapping_add(1);
            self.apply(change);
        }
    }

    fn skipped(&mut self) {
        // As if it were sent: data names its metrics and their types too.
        if let Some(change) = self.pending.take() {
            self.apply(change);
        }
    }

    fn farewell(&self, _clock: &dyn Clock) -> Option<Outgoing> {
        Some(Outgoing { topic: self.topics.node("NDEATH"), payload: node_death(self.bd_seq) })
    }
}

struct Topics {
    group: String,
    node: String,
}

impl Topics {
    fn node(&self, kind: &str) -> String {
        format!("spBv1.0/{}/{kind}/{}", self.group, self.node)
    }

    fn device(&self, kind: &str, device: &str) -> String {
        format!("spBv1.0/{}/{kind}/{}/{}", self.group, self.node, level(device))
    }
}

/// Names of metrics may have all characters.
fn as_it_is(name: &str) -> Cow<'_, str> {
    Cow::Borrowed(name)
}

/// The device of a record; a zone is the device `zones/<zone>`, and no device's name begins so.
fn device_name(record: &Record) -> Cow<'_, str> {
    match (record, record.device().strip_prefix("zones/")) {
        // Names in aggregates are distinct already.
        (Record::Alert(_) | Record::Reading(_), Some(rest)) => Cow::Owned(format!("zones%2F{rest}")),
        _ => record.device(),
    }
}

fn news(record: &Record) -> News {
    match record {
        Record::Aggregate(aggregate) => News::Readings { since: aggregate.window.start },
        Record::Alert(alert) if alert.kind == AlertKind::Silent && alert.metric.is_none() => {
            let rule = alert.rule.clone();
            match alert.state {
                AlertState::Raised => News::Silent { rule },
                AlertState::Cleared => News::Heard { rule },
                AlertState::Acknowledged => News::None,
            }
        }
        Record::Alert(_) | Record::Reading(_) => News::None,
    }
}

fn bd_seq_of(first: u64, attempt: u64) -> u8 {
    u8::try_from(first.wrapping_add(attempt) % 256).unwrap_or(0)
}

fn bd_seq(number: u8, at: Timestamp) -> Metric {
    Metric::new("bdSeq", DataType::Int64, Some(&Value::Int(number.into())), at)
}

/// NDEATH has no `seq`, and as a last will no time.
fn node_death(number: u8) -> Vec<u8> {
    let metric = Metric { timestamp: None, ..bd_seq(number, Timestamp::EPOCH) };
    Payload { timestamp: None, metrics: vec![metric], seq: None }.encode_to_vec()
}

#[cfg(test)]
mod tests;
