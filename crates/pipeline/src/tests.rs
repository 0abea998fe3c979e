//! The pipeline as a whole: uplinks in, steps, outputs; and the same again after a crash.

mod combinations;
mod damage;
mod decoding;
mod envelopes;
mod full_memory;
mod garbage;
mod known_now;
mod models;
mod neighbours;
mod nodes;
mod records;
mod recovery;
mod scripts;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use codecs::{Codec, Options};
use gateway_core::{Ack, AdapterId, CodecId, Delivery, DeviceAddress, Now, Timestamp, Uplink};

use crate::decode::Decoder;
use crate::decode::directory::Directory;
use crate::engine::judging::Judging;
use crate::engine::step::Step;
use crate::engine::{Engine, Outputs, Settings};

/// 2026-11-20T10:00:00Z.
const TEN: i64 = 1_795_168_800_000;

pub(super) fn settings() -> Settings {
    Settings {
        windows: aggregator::Settings {
            length: Duration::from_secs(10),
            every: Duration::from_secs(10),
            lateness: Duration::from_secs(1),
            ..aggregator::Settings::default()
        },
        kinds: BTreeMap::new(),
        zones: BTreeMap::from([("lounge".to_owned(), "floor-1/lounge".to_owned())]),
        rules: vec![too_hot()],
        upstream: true,
        judging: Some(Judging { timezone: "UTC".into(), hold: alerts::DEFAULT_HOLD, max_series: 10_000 }),
    }
}

fn too_hot() -> alerts::Rule {
    alerts::RuleSpec {
        name: "too-hot".into(),
        metric: Some("temperature".to_owned()),
        when: alerts::Conditions { above: Some(40.0), ..alerts::Conditions::default() },
        hold_for: Duration::ZERO,
        clear_by: 0.5,
        severity: gateway_core::Severity::Critical,
        devices: Vec::new(),
        zones: Vec::new(),
        expression: None,
        policy: alerts::Policy::default(),
    }
    .try_into()
    .unwrap()
}

fn at(millis: i64) -> Now {
    Now::at(Timestamp::from_millis(TEN + millis))
}

fn decoder(directory: Directory) -> Decoder {
    let json = Codec::by_name("json", &Options::default()).unwrap();
    Decoder::new(vec![Arc::new(json)], directory)
}

fn accept_all() -> Directory {
    Directory::new([], true, 100)
}

fn uplink(device: &str, payload: &str, received: Now) -> Uplink {
    Uplink {
        device: DeviceAddress::new(device),
        topic: format!("sensors/{device}/telemetry").into(),
        received_at: received.at,
        ..testkit::uplink(AdapterId::new("mqtt", "floor"), payload)
    }
}

/// A decoder and an engine, turned by hand.
struct Fixture {
    engine: Engine,
    decoder: Decoder,
}

impl Fixture {
    fn new() -> Self {
        Self { engine: Engine::new(settings()), decoder: decoder(accept_all()) }
    }

    fn step(&mut self, uplinks: Vec<Uplink>, now: Now) -> Step {
        let mut step = Step::tick(now, None, self.engine.registry().next_numbers());
        self.decoder.decode(Vec::new(), uplinks, &self.engine, &mut step, &mut Vec::new());
        while !self.decoder.is_idle() {
            let answered = self.decoder.answered_blocking();
            self.decoder.decode(answered, Vec::new(), &self.engine, &mut step, &mut Vec::new());
        }
        step
    }

    fn tick(&mut self, uplinks: Vec<Uplink>, now: Now) -> Outputs {
        let step = self.step(uplinks, now);
        let mut outputs = Outputs::default();
        self.engine.apply(&step, &mut outputs);
        outputs
    }

    fn balance(&self, published: u64) -> read_model::Balance {
        let account = crate::engine::ledger::Account { published, ..Default::default() };
        super::balance(
            &self.engine,
            &crate::engine::ledger::ExternalAccounts { accounts: [("mqtt.floor".into(), account)].into() },
        )
    }
}

#[test]
fn what_waited_while_the_clock_was_set_arrived_by_the_new_one() {
    let (old, new) = (at(0).at, at(3_600_000).at);
    let waited = at(-200).at;
    assert_eq!(crate::times::by_new_clock(waited, old, new), at(3_600_000 - 200).at);
    assert_eq!(crate::times::by_new_clock(at(3_599_900).at, old, new), at(3_599_900).at, "it came after");
    assert_eq!(crate::times::by_new_clock(new, new, old), old, "set back");
}
