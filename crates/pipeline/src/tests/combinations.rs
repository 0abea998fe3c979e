//! A device as a whole: its model comes in by a step, judges windows, and is there again after a crash.

use anomaly::multivariate::file::Stored;
use anomaly::multivariate::{Windows, fit};
use gateway_core::{Alert, AlertKind, AlertState, Timestamp};

use super::{Fixture, at, settings, uplink};
use crate::durable::stored;
use crate::engine::Outputs;
use crate::engine::step::{STEP_VERSION, Step};

/// What the flow is at this power in ordinary windows.
fn flow(power: f64) -> f64 {
    2.0 + power / 20.0
}

/// A pump: the more power, the more flow.
fn pump() -> Stored {
    let mut windows = Windows::default();
    for index in 0..400 {
        let turn = f64::from(i32::try_from(index).unwrap());
        let power = 50.0 + 30.0 * (turn * 0.7).sin();
        let row = [("power", power), ("flow", flow(power) + 0.1 * (turn * 1.9).cos())];
        let start = |index: i64| Timestamp::from_millis(index * 10_000);
        windows.push(start(index), start(index + 1), row);
    }
    let (from, to) = windows.range().unwrap();
    let model = fit(windows, |_| {}).unwrap().model;
    Stored { device: "pump".into(), from, to, windows: 400, model }
}

fn fixture(models: Vec<Stored>) -> Fixture {
    let mut settings = settings();
    settings.rules.push(alerts::Rule::anomaly(0.5).unwrap());
    let mut fixture = Fixture::new();
    fixture.engine = super::Engine::new(settings);
    let step = learning(&fixture, models);
    fixture.engine.apply(&step, &mut Outputs::default());
    fixture
}

fn learning(fixture: &Fixture, models: Vec<Stored>) -> Step {
    let mut step = Step::tick(at(0), None, fixture.engine.registry().next_numbers());
    step.models = fixture.engine.combinations().difference(models);
    step
}

/// One reading in the window `number`, and then what closes it; the alerts of the device as a whole.
fn window(fixture: &mut Fixture, number: i64, power: f64, flow: f64) -> Vec<Alert> {
    let payload = format!("{{\"power\":{power},\"flow\":{flow}}}");
    fixture.tick(vec![uplink("pump", &payload, at(number * 10_000))], at(number * 10_000));
    let mut alerts = fixture.tick(Vec::new(), at(number * 10_000 + 11_500)).alerts;
    alerts.retain(|alert| alert.metric.is_none());
    alerts
}

#[test]
fn an_odd_combination_is_told_once_and_is_over_after_two_ordinary_windows() {
    let mut fixture = fixture(vec![pump()]);
    assert_eq!(window(&mut fixture, 0, 70.0, flow(70.0)), []);
    let raised = window(&mut fixture, 2, 70.0, flow(25.0));
    assert_eq!(raised.len(), 1);
    assert_eq!((raised[0].kind, raised[0].state), (AlertKind::Anomaly, AlertState::Raised));
    assert!(raised[0].message.contains("flow 3.25 (rather 5."), "{}", raised[0].message);
    assert_eq!(window(&mut fixture, 4, 70.0, flow(25.0)), []);
    assert_eq!(window(&mut fixture, 6, 70.0, flow(70.0)), []);
    let cleared = window(&mut fixture, 8, 70.0, flow(70.0));
    assert_eq!(cleared.iter().map(|alert| alert.state).collect::<Vec<_>>(), [AlertState::Cleared]);
    assert_eq!(cleared[0].since, raised[0].since);
}

#[test]
fn what_one_value_alone_explains_and_what_is_switched_off_is_not_told() {
    let mut on = fixture(vec![pump()]);
    assert_eq!(window(&mut on, 0, 500.0, flow(25.0)), []);
    let mut off = fixture(vec![pump()]);
    off.engine.settings.judging = None;
    assert_eq!(window(&mut off, 0, 70.0, flow(25.0)), []);
    let mut without = fixture(Vec::new());
    assert_eq!(window(&mut without, 0, 70.0, flow(25.0)), []);
}

#[test]
fn models_and_what_is_raised_survive_in_step_and_checkpoint() {
    let mut fixture = fixture(vec![pump()]);
    assert_eq!(window(&mut fixture, 0, 70.0, flow(25.0)).len(), 1);
    let mut bytes = Vec::new();
    stored::write(&fixture.engine, &mut bytes).unwrap();
    fixture.engine = stored::read(stored::VERSION, &bytes).unwrap();
    assert_eq!(window(&mut fixture, 2, 70.0, flow(25.0)), []);

    let step = learning(&self::fixture(Vec::new()), vec![pump()]);
    assert_eq!(step.models.len(), 1);
    let record = postcard::to_stdvec(&step).unwrap();
    assert_eq!(Step::read(STEP_VERSION, &record).unwrap(), step);
}

#[test]
fn only_what_differs_is_learnt_and_what_is_gone_is_forgotten() {
    let mut fixture = fixture(vec![pump()]);
    assert_eq!(learning(&fixture, vec![pump()]).models, []);
    let step = learning(&fixture, Vec::new());
    fixture.engine.apply(&step, &mut Outputs::default());
    assert_eq!(window(&mut fixture, 0, 70.0, flow(25.0)), []);
}
