//! Weeks of an ordinary office as its sensors report them, in which no detector may find a fault.

use std::f64::consts::TAU;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Sensor {
    /// Heated by day, in steps of 0.1.
    Temperature,
    /// The same room, in steps of 0.5.
    CoarseTemperature,
    Outdoor,
    Co2,
    Humidity,
    /// A fridge and a heater on one meter.
    Power,
    /// Exactly 0 by night, with clouds by day.
    Illuminance,
    /// How often a door opened since the reading before.
    Contacts,
    /// 0 or 1, reported as a number.
    Occupied,
    /// Two setpoints, by day and by night.
    Setpoint,
    Constant,
}

pub(super) const SENSORS: [Sensor; 11] = [
    Sensor::Temperature,
    Sensor::CoarseTemperature,
    Sensor::Outdoor,
    Sensor::Co2,
    Sensor::Humidity,
    Sensor::Power,
    Sensor::Illuminance,
    Sensor::Contacts,
    Sensor::Occupied,
    Sensor::Setpoint,
    Sensor::Constant,
];

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Sampling {
    Minute,
    FiveMinutes,
    /// Between 20 seconds and 12 minutes, some twice, and a day of silence now and then.
    Irregular,
    /// When the value has changed, and every hour.
    OnChange,
}

pub(super) const SAMPLINGS: [Sampling; 4] =
    [Sampling::Minute, Sampling::FiveMinutes, Sampling::Irregular, Sampling::OnChange];

pub(super) type Readings = Vec<(i64, f64)>;

const MINUTE: i64 = 60_000;

/// The readings of a sensor in `days` days, the first of them any day of the week, with a holiday every 24 days.
pub(super) fn readings(sensor: Sensor, sampling: Sampling, days: i64, seed: u64) -> Readings {
    let mut rng = StdRng::seed_from_u64(seed);
    let first_day = rng.random_range(20_000..20_007);
    let end = (first_day + days) * 1440 * MINUTE;
    let mut room = Room::new(sensor, rng);
    let mut readings = Readings::new();
    let mut at = first_day * 1440 * MINUTE;
    while at < end {
        let value = room.value(at);
        let is_reported = readings.last().is_none_or(|(last_at, last): &(i64, f64)| {
            sampling != Sampling::OnChange || value != *last || at - last_at >= 60 * MINUTE
        });
        if is_reported {
            readings.push((at, value));
        }
        at += match sampling {
            Sampling::Minute | Sampling::OnChange => MINUTE,
            Sampling::FiveMinutes => 5 * MINUTE,
            Sampling::Irregular => match room.rng.random_range(0..2000) {
                0 => 1440 * MINUTE,
                1..50 => 0,
                _ => room.rng.random_range(20_000..720_000),
            },
        };
    }
    readings
}

struct Room {
    sensor: Sensor,
    rng: StdRng,
    newest: i64,
    people: f64,
    people_until: i64,
    temperature: f64,
    co2: f64,
    weather: f64,
    cloud: f64,
    heater: bool,
}

impl Room {
    fn new(sensor: Sensor, rng: StdRng) -> Self {
        Self {
            sensor,
            rng,
            newest: 0,
            people: 0.0,
            people_until: 0,
            temperature: 20.0,
            co2: 420.0,
            weather: 8.0,
            cloud: 0.5,
            heater: false,
        }
    }

    fn gaussian(&mut self) -> f64 {
        let radius = (-2.0 * self.rng.random_range(f64::MIN_POSITIVE..1.0).ln()).sqrt();
        radius * (TAU * self.rng.random::<f64>()).cos()
    }

    fn value(&mut self, at: i64) -> f64 {
        let day = at.div_euclid(1440 * MINUTE);
        let hour = at.rem_euclid(1440 * MINUTE) as f64 / (60 * MINUTE) as f64;
        let works = (day + 3).rem_euclid(7) < 5 && day % 24 != 0;
        let minutes = ((at - self.newest).clamp(0, 120 * MINUTE) / MINUTE) as f64;
        self.newest = at;
        self.live(at, hour, works, minutes);
        let noise = self.gaussian();
        match self.sensor {
            Sensor::Temperature => rounded(self.temperature + 0.04 * noise, 0.1),
            Sensor::CoarseTemperature => rounded(self.temperature + 0.02 * noise, 0.5),
            Sensor::Outdoor => rounded(self.outdoor(hour) + 0.05 * noise, 0.1),
            Sensor::Co2 => (self.co2 + 3.0 * noise).round().max(400.0),
            Sensor::Humidity => rounded(
                42.0 + 1.5 * (self.people / 4.0) - 0.5 * (self.temperature - 20.0)
                    + 0.3 * noise
                    + 0.5 * (self.weather - 8.0),
                0.1,
            )
            .clamp(0.0, 100.0),
            Sensor::Power => {
                let fridge = if (at / MINUTE) % 37 < 14 { 85.3 } else { 0.0 };
                let heater = if self.heater { 1500.0 + 8.0 * noise } else { 0.0 };
                rounded((2.1 + fridge + heater) * (1.0 + 0.004 * self.gaussian()), 0.1)
            }
            Sensor::Illuminance => {
                let sun = ((hour - 7.0) / 11.0 * TAU / 2.0).sin();
                if !(7.0..18.0).contains(&hour) {
                    0.0
                } else {
                    (sun * 900.0 * (1.1 - self.cloud) * (1.0 + 0.02 * noise)).round().max(0.0)
                }
            }
            Sensor::Contacts => {
                let mut count = 0;
                let likely = 0.02 * self.people * minutes.min(10.0);
                while count < 20 && self.rng.random_bool((likely / 2.0).min(0.9)) {
                    count += 1;
                }
                f64::from(count)
            }
            Sensor::Occupied => f64::from(u8::from(self.people > 0.0)),
            Sensor::Setpoint => {
                if works && (6.0..19.0).contains(&hour) {
                    21.0
                } else {
                    17.0
                }
            }
            Sensor::Constant => 18.5,
        }
    }

    fn outdoor(&self, hour: f64) -> f64 {
        self.weather + 4.0 * ((hour - 9.0) / 24.0 * TAU).sin()
    }

    /// Lets people come and go, the room warm up and cool down, and clouds pass.
    fn live(&mut self, at: i64, hour: f64, works: bool, minutes: f64) {
        if at >= self.people_until {
            let busy = works && (8.0..18.0).contains(&hour);
            self.people = if busy { f64::from(self.rng.random_range(0..6)) } else { 0.0 };
            self.people_until = at + self.rng.random_range(10..120) * MINUTE;
        }
        let heats = works && (6.0..18.0).contains(&hour);
        let target = if heats { 21.5 } else { 17.5 } + 0.15 * self.people + 0.05 * (self.weather - 8.0);
        let settled = |rate: f64| 1.0 - (-minutes / rate).exp();
        self.temperature += settled(150.0) * (target - self.temperature);
        self.co2 += settled(60.0) * (420.0 + 160.0 * self.people - self.co2);
        self.weather += 0.02 * minutes.sqrt() * self.gaussian() + settled(4000.0) * (8.0 - self.weather);
        self.cloud = (self.cloud + 0.03 * minutes.sqrt() * self.gaussian()).clamp(0.0, 1.0);
        if self.rng.random_bool((minutes / 20.0).min(1.0)) {
            self.heater = heats && self.rng.random_bool(0.4);
        }
    }
}

fn rounded(value: f64, step: f64) -> f64 {
    (value / step).round() * step
}
