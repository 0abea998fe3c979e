//! A sensor that drifts away from the others of its zone raises an alert; and that survives a restart.

use std::collections::BTreeMap;

use gateway_core::{AlertState, AnomalyKind};
use journal::Position;

use super::{Fixture, accept_all, at, decoder, settings, uplink};
use crate::durable::checkpoint::CheckpointFile;
use crate::engine::{Engine, Settings};

const TURN: i64 = 600_000;
const DAY: i64 = 24 * 3_600_000;

fn one_zone(devices: u8) -> Settings {
    let zones = (0..devices).map(|device| (format!("d{device}"), "floor-1".to_owned()));
    Settings {
        zones: zones.collect::<BTreeMap<_, _>>(),
        rules: vec![alerts::Rule::anomaly(0.5).unwrap()],
        ..settings()
    }
}

fn fixture(engine: Engine) -> Fixture {
    Fixture { engine, decoder: decoder(accept_all()) }
}

/// Four sensors until `until`; from the tenth day on `d0` creeps up by 0.3 K a day. Devices reported as drifting, in order.
fn live(fixture: &mut Fixture, from: i64, until: i64) -> Vec<String> {
    let mut raised = Vec::new();
    for now in (from..until).step_by(usize::try_from(TURN).unwrap()) {
        let uplinks = (0..4_i64).map(|device| {
            let day = (now % DAY) as f64 / DAY as f64;
            let scatter = ((now / TURN * 7 + device * 5) % 11) as f64 / 50.0;
            let drift = if device == 0 { 0.3 * ((now - 10 * DAY).max(0) as f64 / DAY as f64) } else { 0.0 };
            let value =
                21.0 + 2.0 * (day * std::f64::consts::TAU).sin() + device as f64 / 3.0 + scatter + drift;
            uplink(&format!("d{device}"), &format!("{{\"temperature\":{value:.2}}}"), at(now))
        });
        let uplinks = uplinks.collect();
        for alert in fixture.tick(uplinks, at(now)).alerts {
            if alert.state == AlertState::Raised && alert.anomaly_kind == Some(AnomalyKind::Drift) {
                raised.push(fixture.engine.registry().device_name(alert.device).to_owned());
            }
        }
    }
    raised
}

#[test]
fn a_sensor_that_drifts_away_from_its_zone_raises_an_alert_and_others_do_not() {
    let mut fixture = fixture(Engine::new(one_zone(4)));
    assert_eq!(live(&mut fixture, 0, 10 * DAY), Vec::<String>::new());
    let raised = live(&mut fixture, 10 * DAY, 20 * DAY);
    assert!(!raised.is_empty() && raised.iter().all(|device| device == "d0"), "{raised:?}");
}

#[test]
fn devices_without_a_zone_are_not_compared() {
    let mut fixture = fixture(Engine::new(one_zone(0)));
    assert_eq!(live(&mut fixture, 0, 20 * DAY), Vec::<String>::new());
}

#[test]
fn what_is_known_of_the_neighbours_survives_a_restart_and_leaves_with_the_zone() {
    let mut first = fixture(Engine::new(one_zone(4)));
    live(&mut first, 0, 10 * DAY);
    let dir = tempfile::tempdir().unwrap();
    let file = CheckpointFile::in_dir(dir.path());
    file.replace(&CheckpointFile::encode(Position(1), &first.engine).unwrap()).unwrap();

    let mut restored = fixture(file.load().unwrap().unwrap().engine);
    assert_eq!(live(&mut restored, 10 * DAY, 16 * DAY), live(&mut first, 10 * DAY, 16 * DAY));
    let state = CheckpointFile::encode(Position(1), &restored.engine).unwrap();
    assert_eq!(state, CheckpointFile::encode(Position(1), &first.engine).unwrap());

    let mut step = restored.step(Vec::new(), at(16 * DAY));
    step.settings = Some(Box::new(one_zone(0)));
    restored.engine.apply(&step, &mut super::Outputs::default());
    let bytes = |engine: &Engine| postcard::to_stdvec(&engine.peers).unwrap();
    assert_eq!(bytes(&restored.engine), bytes(&Engine::new(one_zone(0))), "no neighbours are left");
}
