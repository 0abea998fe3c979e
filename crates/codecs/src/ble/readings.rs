//! Where the decoders of advertisements put what they find: measurements, and for people also what makes none.

use serde_json::{Map, Value};

use crate::words::{Quantity, from_bool};
use crate::{DecodeError, Measurements};

/// What one advertisement says. The first error (too many readings, which no advertisement has) is kept for the end.
pub(super) struct Readings<'m> {
    out: &'m mut Measurements,
    notes: Option<&'m mut Map<String, Value>>,
    failed: Option<DecodeError>,
    buttons: usize,
}

impl<'m> Readings<'m> {
    pub(super) fn new(out: &'m mut Measurements, notes: Option<&'m mut Map<String, Value>>) -> Self {
        Self { out, notes, failed: None, buttons: 0 }
    }

    pub(super) fn finish(self) -> Result<(), DecodeError> {
        self.failed.map_or(Ok(()), Err)
    }

    /// A number in the unit that the metric's name implies.
    pub(super) fn measure(&mut self, metric: &str, value: f64) {
        self.push(metric, value.into());
    }

    /// A number in a SenML unit.
    pub(super) fn measure_in(&mut self, metric: &str, value: f64, unit: &str) {
        self.push(metric, value.into());
        self.out.set_unit(metric, unit);
    }

    /// One of two states.
    pub(super) fn state(&mut self, metric: &str, on: bool) {
        self.push(metric, from_bool(on));
    }

    /// A number of the sensor or probe `which`, counted from 1.
    pub(super) fn measure_of(&mut self, metric: &str, which: usize, value: f64) {
        let name = format!("{metric}_{which}");
        self.push(&name, value.into());
    }

    /// Of a part of the device, such as `remote_`; `""` is the device itself.
    pub(super) fn measure_part(&mut self, part: &str, metric: &str, value: f64) {
        if part.is_empty() {
            return self.measure(metric, value);
        }
        let name = format!("{part}{metric}");
        match crate::unit_of(metric) {
            Some(unit) => self.measure_in(&name, value, unit),
            None => self.measure(&name, value),
        }
    }

    /// The first of its name as it is, the second as `temperature_2`, and so on. `unit` is `""` where the name implies it.
    pub(super) fn measure_again(&mut self, metric: &str, value: f64, unit: &str) {
        let second = self.out.has(metric).then(|| self.free_name(metric));
        let name = second.as_deref().unwrap_or(metric);
        self.push(name, value.into());
        if !unit.is_empty() {
            self.out.set_unit(name, unit);
        }
    }

    /// As [`Self::measure_again`], of one of two states.
    pub(super) fn state_again(&mut self, metric: &str, on: bool) {
        let second = self.out.has(metric).then(|| self.free_name(metric));
        self.state(second.as_deref().unwrap_or(metric), on);
    }

    /// No packet has as many values of one kind as a u8 counts.
    fn free_name(&mut self, metric: &str) -> String {
        let names = (2..=u8::MAX).map(|number| format!("{metric}_{number}"));
        names.into_iter().find(|name| !self.out.has(name)).unwrap_or_else(|| metric.to_owned())
    }

    /// Which button speaks next: the first has no number.
    pub(super) fn next_button(&mut self) -> String {
        self.buttons += 1;
        if self.buttons == 1 { String::new() } else { self.buttons.to_string() }
    }

    /// Something happened: `action.double` is 1. `which` distinguishes buttons: `action_2.double`, `action_left.double`.
    pub(super) fn event(&mut self, which: &str, what: &str) {
        let name = match which {
            "" => format!("action.{what}"),
            which => format!("action_{which}.{what}"),
        };
        self.push(&name, from_bool(true));
        self.note(if which.is_empty() { "action" } else { name.split('.').next().unwrap_or_default() }, what);
    }

    /// Something that is no measurement: a model, a state in words.
    pub(super) fn note(&mut self, name: &str, value: impl Into<Value>) {
        if let Some(notes) = &mut self.notes {
            notes.insert(name.to_owned(), value.into());
        }
    }

    /// Whether notes are wanted: else what is only for them need not be made.
    pub(super) fn noting(&self) -> bool {
        self.notes.is_some()
    }

    fn push(&mut self, metric: &str, quantity: Quantity) {
        if let Err(error) = self.out.push(metric, quantity) {
            self.failed.get_or_insert(error);
        }
    }
}

/// To two places behind the point: for what is converted, such as Fahrenheit.
pub(super) fn rounded(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}

pub(super) fn celsius(fahrenheit: f64) -> f64 {
    rounded((fahrenheit - 32.0) * 5.0 / 9.0)
}
