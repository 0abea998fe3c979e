//! There are so many anomaly models and no more; which series have one is part of the state.

use gateway_core::{AlertState, LinkQuality};
use journal::Position;

use super::{Fixture, Outputs, accept_all, at, decoder, settings, uplink};
use crate::durable::checkpoint::CheckpointFile;
use crate::engine::judging::Judging;
use crate::engine::series::ModelCount;
use crate::engine::step::Step;
use crate::engine::{Engine, Settings};

const MINUTE: i64 = 60_000;

fn with_room_for(max_series: u32) -> Settings {
    let judging = settings().judging.map(|judging| Judging { max_series, ..judging });
    Settings { rules: vec![alerts::Rule::anomaly(0.5).unwrap()], judging, ..settings() }
}

fn fixture(max_series: u32) -> Fixture {
    Fixture { engine: Engine::new(with_room_for(max_series)), decoder: decoder(accept_all()) }
}

/// The same reading of these devices every minute, the last digit never at rest; names of those with new alerts.
fn live(fixture: &mut Fixture, devices: &[&str], minutes: std::ops::Range<i64>, value: f64) -> Vec<String> {
    let mut raised = Vec::new();
    for minute in minutes {
        #[expect(clippy::cast_precision_loss, reason = "a small number")]
        let value = value + (minute * 7 % 11) as f64 / 50.0;
        let uplinks = devices
            .iter()
            .map(|device| uplink(device, &format!("{{\"temperature\":{value:.2}}}"), at(minute * MINUTE)));
        let uplinks = uplinks.collect();
        for alert in fixture.tick(uplinks, at(minute * MINUTE)).alerts {
            if alert.state == AlertState::Raised {
                raised.push(fixture.engine.registry().device_name(alert.device).to_owned());
            }
        }
    }
    raised
}

fn reconfigure(fixture: &mut Fixture, settings: Settings, minute: i64) {
    let mut step = Step::tick(at(minute * MINUTE), None, fixture.engine.registry().next_numbers());
    step.settings = Some(Box::new(settings));
    fixture.engine.apply(&step, &mut Outputs::default());
}

#[test]
fn a_series_beyond_the_bound_is_counted_and_not_judged() {
    let mut fixture = fixture(2);
    let devices = ["a", "b", "c"];
    assert!(live(&mut fixture, &devices[..2], 0..400, 21.0).is_empty());
    assert_eq!(fixture.engine.models_are_full(), None, "no series was refused");
    assert!(live(&mut fixture, &devices, 400..900, 21.0).is_empty());
    assert_eq!(fixture.engine.models(), ModelCount { kept: 2, refused: 1 });
    assert_eq!(fixture.engine.models_are_full(), Some(2));
    assert_eq!(live(&mut fixture, &devices, 900..901, 60.0), ["a", "b"]);
}

#[test]
fn a_series_that_was_refused_learns_once_there_is_room() {
    let mut fixture = fixture(1);
    live(&mut fixture, &["a", "b"], 0..10, 21.0);
    assert_eq!(fixture.engine.models(), ModelCount { kept: 1, refused: 1 });
    reconfigure(&mut fixture, with_room_for(2), 10);
    assert_eq!(fixture.engine.models_are_full(), None, "there is memory for it now");
    assert!(live(&mut fixture, &["a", "b"], 11..900, 21.0).is_empty());
    assert_eq!(fixture.engine.models(), ModelCount { kept: 2, refused: 0 });
    assert_eq!(live(&mut fixture, &["a", "b"], 900..901, 60.0), ["a", "b"]);
}

#[test]
fn a_lower_bound_takes_no_model_away_and_a_model_that_is_off_refuses_nobody() {
    let mut fixture = fixture(2);
    live(&mut fixture, &["a", "b"], 0..10, 21.0);
    reconfigure(&mut fixture, with_room_for(1), 10);
    assert_eq!((fixture.engine.models().kept, fixture.engine.models_are_full()), (2, None));
    live(&mut fixture, &["c"], 11..12, 21.0);
    assert_eq!(fixture.engine.models_are_full(), Some(1));
    reconfigure(&mut fixture, Settings { judging: None, ..with_room_for(1) }, 12);
    live(&mut fixture, &["d"], 13..14, 21.0);
    assert_eq!(fixture.engine.models(), ModelCount { kept: 2, refused: 1 });
    assert_eq!(fixture.engine.models_are_full(), None);
}

#[test]
fn what_the_radio_tells_of_itself_has_no_model() {
    let mut fixture = fixture(2);
    let link =
        LinkQuality { rssi: Some(-60.0), snr: Some(7.0), airtime: Some(0.06), ..LinkQuality::default() };
    let mut with_link = uplink("a", "{\"temperature\":21}", at(0));
    with_link.link = link;
    fixture.tick(vec![with_link], at(0));
    assert_eq!(fixture.engine.models(), ModelCount { kept: 1, refused: 0 });
}

#[test]
fn which_series_have_a_model_survives_a_restart() {
    let mut before = fixture(2);
    live(&mut before, &["a", "b", "c"], 0..900, 21.0);
    let dir = tempfile::tempdir().unwrap();
    let file = CheckpointFile::in_dir(dir.path());
    file.replace(&CheckpointFile::encode(Position(7), &before.engine).unwrap()).unwrap();
    let engine = file.load().unwrap().unwrap().engine;
    let mut after = Fixture { engine, decoder: decoder(accept_all()) };
    assert_eq!(after.engine.models(), ModelCount { kept: 2, refused: 1 });
    assert_eq!(live(&mut after, &["a", "b", "c"], 900..901, 60.0), ["a", "b"]);
}

#[test]
fn a_checkpoint_has_16_kb_at_most_for_each_series() {
    let mut fixture = fixture(10);
    // 36 hours: past the trial, so that all detectors know something.
    live(&mut fixture, &["a", "b", "c", "d"], 0..36 * 60, 21.0);
    let bytes = CheckpointFile::encode(Position(7), &fixture.engine).unwrap().len();
    assert!((4 * 2_048..4 * 16_384).contains(&bytes), "{bytes} bytes for four series");
}
