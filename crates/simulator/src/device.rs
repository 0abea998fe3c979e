//! One device: its measurements and their encoding.

use std::fmt::{self, Write};

use bytes::Bytes;
use gateway_core::Timestamp;

use crate::chance::Chance;
use crate::fault::{self, Fault};
use crate::profile;

/// A message of a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// The MQTT topic.
    pub topic: String,
    /// The bytes.
    pub payload: Bytes,
    /// The number of readings in the gateway's ledger; a message that cannot be decoded counts as one.
    pub readings: u32,
}

/// The kind of a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Temperature, humidity and CO2 in one JSON object.
    Climate,
    /// The same, each as a bare number under its own topic, in turn.
    ClimateValues,
    /// Power and energy, in JSON.
    Meter,
    /// A door, through zigbee2mqtt.
    Contact,
    /// Occupancy and light, through zigbee2mqtt.
    Occupancy,
    /// Litres and water temperature.
    WaterMeter,
    /// Moisture and temperature of the ground.
    Soil,
    /// The weather on the roof.
    Weather,
}

#[derive(Debug, Clone)]
pub(crate) struct Device {
    pub(crate) name: String,
    pub(crate) zone: String,
    kind: Kind,
    seed: u64,
    messages: u64,
    fault: Option<(Fault, Timestamp)>,
    /// The values of the last message; a stuck device repeats them.
    last: Option<Values>,
    /// The time of the last sample, and the meter's count until then, in kWh or litres.
    metered: Option<Timestamp>,
    counted: f64,
}

/// The measurements of a device at one time, before a protocol encodes them.
#[derive(Debug, Clone)]
pub(crate) struct Sample {
    pub(crate) values: Values,
    /// The time of the measurement, if the device sends it.
    pub(crate) clock: Option<Timestamp>,
    /// The number of the message.
    pub(crate) turn: u64,
    /// Whether the payload is cut in half.
    pub(crate) cut: bool,
}

/// Metrics in the order in which they are sent; booleans are sent as such.
pub(crate) type Values = Vec<(&'static str, Value)>;

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Value {
    /// The number, and its digits after the point.
    Number(f64, usize),
    Boolean(bool),
}

impl Value {
    /// Booleans are 0 and 1.
    pub(crate) fn number(self) -> f64 {
        match self {
            Self::Number(number, _) => number,
            Self::Boolean(on) => f64::from(u8::from(on)),
        }
    }
}

impl Device {
    pub(crate) fn new(name: String, zone: String, kind: Kind, seed: u64) -> Self {
        Self { name, zone, kind, seed, messages: 0, fault: None, last: None, metered: None, counted: 0.0 }
    }

    pub(crate) fn fail(&mut self, fault: Fault, from: Timestamp) {
        self.fault = Some((fault, from));
    }

    /// `None` if it is silent.
    pub(crate) fn message(&mut self, at: Timestamp) -> Option<Message> {
        let sample = self.sample(at)?;
        let mut message = self.write(&sample);
        if sample.cut {
            message.payload = cut(&message.payload);
            message.readings = 1;
        }
        Some(message)
    }

    /// `None` if it is silent.
    pub(crate) fn sample(&mut self, at: Timestamp) -> Option<Sample> {
        let fault = self.fault.filter(|(_, from)| at >= *from);
        let chance = Chance { seed: self.seed, message: self.messages };
        self.messages += 1;
        let mut values = self.measure(at, chance);
        let mut clock = None;
        match fault {
            Some((Fault::Silent, _)) => return None,
            Some((Fault::Stuck, _)) => values = self.last.take().unwrap_or(values),
            Some((Fault::Spike, _)) if self.messages.is_multiple_of(fault::SPIKE_EVERY) => spike(&mut values),
            Some((Fault::TooHot, from)) => heat(&mut values, |normal| fault::hot(normal, at.since(from))),
            Some((Fault::WrongClock, from)) => clock = Some(fault::wrong_time(at.since(from))),
            Some((Fault::Spike | Fault::BadPayload, _)) | None => {}
        }
        self.last = Some(values.clone());
        let cut = matches!(fault, Some((Fault::BadPayload, _)));
        Some(Sample { values, clock, turn: self.messages, cut })
    }

    fn measure(&mut self, at: Timestamp, chance: Chance) -> Values {
        match self.kind {
            Kind::Climate | Kind::ClimateValues => climate(at, chance),
            Kind::Meter => self.meter(at, chance),
            Kind::Contact => contact(at, chance),
            Kind::Occupancy => occupancy(at, chance),
            Kind::WaterMeter => self.water(at, chance),
            Kind::Soil => soil(at, chance),
            Kind::Weather => weather(at, chance),
        }
    }

    fn meter(&mut self, at: Timestamp, chance: Chance) -> Values {
        let power = (80.0 + 900.0 * profile::activity(at) + 15.0 * chance.gaussian(0)).max(0.0);
        self.count(at, power / 1000.0);
        vec![("power", Value::Number(power, 1)), ("energy", Value::Number(1000.0 + self.counted, 4))]
    }

    fn water(&mut self, at: Timestamp, chance: Chance) -> Values {
        let an_hour = (5.0 + 600.0 * profile::activity(at) * (1.0 + 0.3 * chance.gaussian(0))).max(0.0);
        self.count(at, an_hour);
        let temperature = 11.0 + 0.2 * chance.gaussian(1);
        vec![
            ("water", Value::Number(250_000.0 + self.counted, 0)),
            ("temperature", Value::Number(temperature, 1)),
            ("battery", battery(self.seed)),
        ]
    }

    fn count(&mut self, at: Timestamp, an_hour: f64) {
        let hours = self.metered.map_or(0.0, |last| at.since(last).as_secs_f64() / 3600.0);
        self.metered = Some(at);
        self.counted += an_hour * hours;
    }

    fn write(&self, sample: &Sample) -> Message {
        let name = &self.name;
        let topic = match self.kind {
            Kind::ClimateValues => return self.write_value(sample),
            Kind::Climate | Kind::Meter | Kind::WaterMeter | Kind::Soil | Kind::Weather => {
                format!("sensors/{name}/telemetry")
            }
            Kind::Contact | Kind::Occupancy => format!("zigbee2mqtt/{name}"),
        };
        let payload = sample.json().into();
        Message { topic, payload, readings: sample.readings() }
    }

    /// One metric per message, in turn. A bare number cannot contain a time.
    fn write_value(&self, sample: &Sample) -> Message {
        let (metric, text) = sample.one();
        Message { topic: format!("sensors/data/{}/{metric}", self.name), payload: text.into(), readings: 1 }
    }
}

impl Sample {
    pub(crate) fn readings(&self) -> u32 {
        u32::try_from(self.values.len()).unwrap_or(u32::MAX)
    }

    /// All metrics in one object.
    pub(crate) fn json(&self) -> String {
        let mut json = String::with_capacity(96);
        let mut separator = '{';
        if let Some(clock) = self.clock {
            let _ = write!(json, "{{\"time\":\"{clock}\"");
            separator = ',';
        }
        for (metric, value) in &self.values {
            let _ = write!(json, "{separator}\"{metric}\":{value}");
            separator = ',';
        }
        json.push('}');
        json
    }

    /// The metric of this message, and its value as text.
    pub(crate) fn one(&self) -> (&'static str, String) {
        let turn = self.turn % (self.values.len().max(1) as u64);
        let (metric, value) = usize::try_from(turn)
            .ok()
            .and_then(|turn| self.values.get(turn).copied())
            .unwrap_or(("temperature", Value::Number(20.0, 2)));
        (metric, value.to_string())
    }
}

fn climate(at: Timestamp, chance: Chance) -> Values {
    let own = Chance::of_device(chance.seed);
    let busy = profile::activity(at);
    let temperature =
        20.5 + own.gaussian(0) + 0.8 * profile::warmth(at) + 0.9 * busy + 0.08 * chance.gaussian(0);
    let humidity =
        42.0 + 4.0 * own.gaussian(1) - 2.0 * profile::warmth(at) + 3.0 * busy + 0.3 * chance.gaussian(1);
    let co2 = 425.0 + (300.0 + 150.0 * own.even(2)) * busy + 6.0 * chance.gaussian(2);
    vec![
        ("temperature", Value::Number(temperature, 2)),
        ("humidity", Value::Number(humidity.clamp(0.0, 100.0), 1)),
        ("co2", Value::Number(co2, 0)),
    ]
}

fn contact(at: Timestamp, chance: Chance) -> Values {
    let open = chance.even(0) < 0.02 + 0.2 * profile::activity(at);
    vec![
        ("contact", Value::Boolean(!open)),
        ("battery", battery(chance.seed)),
        ("linkquality", Value::Number(100.0 + (60.0 * chance.even(1)).floor(), 0)),
    ]
}

fn occupancy(at: Timestamp, chance: Chance) -> Values {
    let busy = profile::activity(at);
    let light = 400.0 * profile::daylight(at) + 300.0 * busy;
    vec![
        ("occupancy", Value::Boolean(chance.even(0) < 0.8 * busy)),
        ("illuminance", Value::Number((light * (1.0 + 0.03 * chance.gaussian(1))).max(0.0), 0)),
        ("battery", battery(chance.seed)),
        ("linkquality", Value::Number(100.0 + (60.0 * chance.even(2)).floor(), 0)),
    ]
}

fn soil(at: Timestamp, chance: Chance) -> Values {
    vec![
        ("temperature", Value::Number(9.0 + 1.5 * profile::warmth(at) + 0.1 * chance.gaussian(0), 1)),
        ("soil_moisture", Value::Number((38.0 + 1.0 * chance.gaussian(1)).clamp(0.0, 100.0), 0)),
        ("battery", battery(chance.seed)),
    ]
}

fn weather(at: Timestamp, chance: Chance) -> Values {
    let temperature = 8.0 + 5.0 * profile::warmth(at) + 0.1 * chance.gaussian(0);
    let humidity = 70.0 - 12.0 * profile::warmth(at) + 0.5 * chance.gaussian(1);
    vec![
        ("temperature", Value::Number(temperature, 1)),
        ("humidity", Value::Number(humidity.clamp(0.0, 100.0), 1)),
        ("pressure", Value::Number(1013.0 + 0.3 * chance.gaussian(2), 1)),
        ("illuminance", Value::Number(20_000.0 * profile::daylight(at), 0)),
    ]
}

/// The battery level in per cent, random for each device.
fn battery(seed: u64) -> Value {
    Value::Number(60.0 + (40.0 * Chance::of_device(seed).even(0)).floor(), 0)
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Number(number, digits) => write!(f, "{number:.digits$}"),
            Self::Boolean(boolean) => write!(f, "{boolean}"),
        }
    }
}

/// Makes the first number an outlier.
fn spike(values: &mut Values) {
    if let Some((metric, Value::Number(number, _))) = values.first_mut() {
        *number = if *metric == "temperature" { fault::SPIKE_TEMPERATURE } else { *number * 100.0 };
    }
}

fn heat(values: &mut Values, hot: impl Fn(f64) -> f64) {
    for (metric, value) in values {
        if let Value::Number(number, _) = value
            && *metric == "temperature"
        {
            *number = hot(*number);
        }
    }
}

pub(crate) fn cut(payload: &Bytes) -> Bytes {
    let half = payload.len() / 2;
    payload.slice(..half.max(1).min(payload.len()))
}
