//! The read model agrees with the engine, batch by batch and after a restart.

use std::collections::BTreeSet;

use proptest::prelude::*;
use read_model::{OpenAlert, ReadModel};

use super::recovery::steps;
use super::settings;
use crate::deliver::publish;
use crate::engine::{Engine, Outputs};

/// What identifies an alert: its rule, device and metric.
type AlertKey = (String, String, Option<String>);

fn of_model(model: &ReadModel) -> BTreeSet<AlertKey> {
    let key = |alert: &OpenAlert| {
        (alert.rule.to_string(), alert.device.to_string(), alert.metric.as_ref().map(ToString::to_string))
    };
    model.alerts().iter().map(|alert| key(alert)).collect()
}

fn of_engine(engine: &Engine) -> BTreeSet<AlertKey> {
    let registry = engine.registry();
    let raised = engine.alerts.active_alerts().map(|raised| {
        let metric = raised.metric.map(|metric| registry.metric_name(metric).to_owned());
        (raised.rule.to_string(), registry.device_name(raised.device).to_owned(), metric)
    });
    raised.collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn alerts_and_values_are_those_of_the_engine(
        batches in prop::collection::vec((0..4_u8, 20.0..60.0_f64, 0..4_000_u16, 0..3_000_u16), 1..60),
    ) {
        let (model, mut engine) = (ReadModel::default(), Engine::new(settings()));
        let mut newest = std::collections::BTreeMap::new();
        for step in steps(&batches) {
            let mut outputs = Outputs::default();
            engine.apply(&step, &mut outputs);
            publish::changes(&model, &step, &outputs, &engine);
            prop_assert_eq!(of_model(&model), of_engine(&engine));
            for reading in step.batches.iter().flat_map(|batch| &batch.readings) {
                let reading = reading.reading(step.now);
                let known = newest.entry(reading.device).or_insert((reading.at, reading.value));
                if known.0 <= reading.at {
                    *known = (reading.at, reading.value);
                }
            }
            for (device, expected) in &newest {
                let device = model.device(engine.registry().device_name(*device)).unwrap();
                let temperature = device.get("temperature").unwrap();
                prop_assert_eq!((temperature.at, temperature.value), *expected);
                let alerts = of_model(&model);
                let is_raised = alerts.iter().any(|(_, name, metric)| **name == *device.name && metric.is_some());
                prop_assert_eq!(temperature.raised.is_some(), is_raised);
            }
        }
        let restarted = ReadModel::default();
        publish::restored(&restarted, &engine);
        prop_assert_eq!(of_model(&restarted), of_engine(&engine));
        let names = |model: &ReadModel| model.devices().iter().map(|device| device.name.to_string()).collect::<Vec<_>>();
        prop_assert_eq!(names(&restarted), names(&model));
    }
}
