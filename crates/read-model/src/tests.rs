//! The read model as its readers see it.

use std::sync::Arc;

use gateway_core::{Alert, AlertKind, AlertState, DeviceId, MetricId, MetricKind, Severity, Timestamp};

use super::{Description, Device, Kind, ReadModel, STREAM_LENGTH, SeriesDescription, Writer};

const LOUNGE: DeviceId = DeviceId(0);
const HALL: DeviceId = DeviceId(1);
const TEMPERATURE: MetricId = MetricId(0);
const CO2: MetricId = MetricId(1);

fn device(name: &str, zone: Option<&str>) -> Description {
    Description { name: name.into(), zone: zone.map(Into::into), protocol: Some("mqtt".into()) }
}

fn series(name: &str, kind: MetricKind) -> SeriesDescription {
    SeriesDescription { name: name.into(), unit: None, kind }
}

fn model() -> ReadModel {
    let model = ReadModel::default();
    let mut writer = model.write();
    writer.add_device(device("lounge", Some("floor-1")));
    writer.add_device(device("hall", None));
    drop(writer);
    model
}

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis)
}

fn put(writer: &mut Writer<'_>, device: DeviceId, metric: MetricId, value: f64, millis: i64) {
    let name = if metric == CO2 { "co2" } else { "temperature" };
    writer.value(device, metric, value, at(millis), || series(name, MetricKind::Gauge));
}

fn lounge(model: &ReadModel) -> Arc<Device> {
    model.device("lounge").unwrap()
}

fn alert(rule: &str, metric: Option<MetricId>, state: AlertState, severity: Severity) -> Alert {
    Alert {
        rule: rule.into(),
        device: LOUNGE,
        metric,
        kind: AlertKind::Threshold,
        state,
        severity,
        value: None,
        score: None,
        anomaly_kind: None,
        expected: None,
        since: at(1),
        at: at(2),
        message: String::new(),
        limit: None,
        notice: None,
    }
}

#[tokio::test]
async fn a_follower_hears_of_each_device_once_and_a_late_reading_changes_nothing() {
    let model = model();
    let follower = model.follow();
    put(&mut model.write(), LOUNGE, TEMPERATURE, 21.0, 10);
    put(&mut model.write(), LOUNGE, TEMPERATURE, 22.0, 20);
    assert_eq!(follower.changed().await, ["lounge".into()]);
    put(&mut model.write(), LOUNGE, TEMPERATURE, 1.0, 15);
    put(&mut model.write(), HALL, CO2, 400.0, 1);
    assert_eq!(follower.changed().await, ["hall".into()]);
    assert_eq!(
        lounge(&model).get("temperature").map(|series| (series.value, series.at)),
        Some((22.0, at(20)))
    );
    assert!(model.device("cellar").is_none());
}

#[test]
fn what_a_reader_holds_does_not_change_and_the_next_read_is_new() {
    let model = model();
    put(&mut model.write(), LOUNGE, TEMPERATURE, 21.0, 10);
    let before = lounge(&model);
    put(&mut model.write(), LOUNGE, TEMPERATURE, 22.0, 20);
    assert_eq!(before.get("temperature").unwrap().value.to_bits(), 21.0_f64.to_bits());
    assert_eq!(lounge(&model).get("temperature").unwrap().value.to_bits(), 22.0_f64.to_bits());
}

#[test]
fn series_are_in_the_order_of_their_names() {
    let model = model();
    let mut writer = model.write();
    put(&mut writer, LOUNGE, TEMPERATURE, 21.0, 10);
    put(&mut writer, LOUNGE, CO2, 400.0, 10);
    put(&mut writer, LOUNGE, TEMPERATURE, 22.0, 11);
    drop(writer);
    let names: Vec<_> =
        lounge(&model).series().iter().map(|series| (series.name.to_string(), series.value)).collect();
    assert_eq!(names, [("co2".to_owned(), 400.0), ("temperature".to_owned(), 22.0)]);
}

#[test]
fn a_device_is_heard_at_the_latest_time_and_over_the_newest_protocol() {
    let model = model();
    assert_eq!(lounge(&model).last_heard, None);
    model.write().device_seen(LOUNGE, at(20), Some(&"coap".into()));
    model.write().device_seen(LOUNGE, at(10), Some(&"coap".into()));
    let lounge = lounge(&model);
    assert_eq!((lounge.last_heard, lounge.protocol.as_deref()), (Some(at(20)), Some("coap")));
}

#[test]
fn a_new_configuration_changes_zones_and_kinds_and_no_value() {
    let model = model();
    put(&mut model.write(), LOUNGE, TEMPERATURE, 21.0, 10);
    let device_of = |id: DeviceId| device(if id == LOUNGE { "lounge" } else { "hall" }, Some("floor-2"));
    model.write().describe_again(device_of, |_, _| series("temperature", MetricKind::Counter));
    let lounge = lounge(&model);
    let temperature = lounge.get("temperature").unwrap();
    assert_eq!((lounge.zone.as_deref(), temperature.kind), (Some("floor-2"), MetricKind::Counter));
    assert_eq!((temperature.value.to_bits(), temperature.at), (21.0_f64.to_bits(), at(10)));
}

#[test]
fn a_series_has_the_worst_of_its_alerts_until_the_last_is_cleared() {
    let model = model();
    put(&mut model.write(), LOUNGE, TEMPERATURE, 50.0, 10);
    let worst = || lounge(&model).get("temperature").unwrap().raised;
    let tell = |rule: &str, state, severity| {
        let alert = alert(rule, Some(TEMPERATURE), state, severity);
        model.write().alert(&alert, Some("temperature".into()));
        worst()
    };
    assert_eq!(worst(), None);
    assert_eq!(tell("warm", AlertState::Raised, Severity::Warning), Some(Severity::Warning));
    assert_eq!(tell("hot", AlertState::Raised, Severity::Critical), Some(Severity::Critical));
    assert_eq!(tell("hot", AlertState::Cleared, Severity::Critical), Some(Severity::Warning));
    assert_eq!(model.alerts().iter().map(|open| open.rule.to_string()).collect::<Vec<_>>(), ["warm"]);
    assert_eq!(tell("warm", AlertState::Cleared, Severity::Warning), None);
    assert!(model.alerts().is_empty());
}

#[test]
fn an_alert_from_before_the_start_marks_the_series_once_it_has_a_value() {
    let model = model();
    let raised = alert("hot", Some(TEMPERATURE), AlertState::Raised, Severity::Critical);
    model.write().alert(&raised, Some("temperature".into()));
    let silent = alert("silent", None, AlertState::Raised, Severity::Info);
    model.write().alert(&silent, None);
    put(&mut model.write(), LOUNGE, TEMPERATURE, 50.0, 10);
    put(&mut model.write(), LOUNGE, CO2, 400.0, 10);
    let lounge = lounge(&model);
    assert_eq!(lounge.get("temperature").unwrap().raised, Some(Severity::Critical));
    assert_eq!(lounge.get("co2").unwrap().raised, None);
    assert_eq!(model.alerts().len(), 2);
}

#[test]
fn a_slow_reader_of_a_stream_is_told_what_it_missed_and_nothing_is_kept_without_readers() {
    let model = model();
    let item = |kind| super::Item { kind, device: "lounge".into(), json: "{}".into() };
    assert!(!model.is_read(Kind::Reading) && !model.is_read(Kind::Alert));
    let mut readings = model.readings();
    assert!(model.is_read(Kind::Reading) && !model.is_read(Kind::Alert));
    (0..STREAM_LENGTH + 3).for_each(|_| model.send(item(Kind::Reading)));
    model.send(item(Kind::Aggregate));
    let missed = readings.try_recv().unwrap_err();
    assert!(matches!(missed, tokio::sync::broadcast::error::TryRecvError::Lagged(3)), "{missed}");
    assert_eq!((0..).take_while(|_| readings.try_recv().is_ok()).count(), STREAM_LENGTH);
}
