//! The weather: the season, each day's temperature swing and clouds, and fronts that last for days.

use std::f64::consts::TAU;

use super::calendar::Minute;
use super::season;
use super::wander::Wander;
use crate::chance::{Chance, mix};

/// Fronts: standard deviation in °C, time constant in minutes.
const FRONTS: (f64, f64) = (1.9, 2000.0);
/// Half the distance from the night to the afternoon of a day with a swing of 1, in °C.
const DAY_AMPLITUDE: f64 = 4.0;
/// The warmest hour.
const WARMEST: f64 = 15.0;
/// The hour at which a day's swing crosses its mean and the next day's starts.
const SWING_CHANGES: i64 = 21 * 60;
/// The time constant of the heating's outdoor temperature, in minutes.
const SLOW_MINUTES: f64 = 1440.0;

/// The weather at one time.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sky {
    /// The temperature, in °C.
    pub(super) outdoor: f64,
    /// Mean of about the last day, in °C.
    pub(super) outdoor_of_day: f64,
    /// 0 at night and about 1 on a clear noon in spring.
    pub(super) sun: f64,
    /// In hPa.
    pub(super) pressure: f64,
}

/// Steps from minute to minute.
#[derive(Debug, Clone)]
pub(super) struct Weather {
    seed: u64,
    fronts: Wander,
    /// 0 clear, 1 overcast.
    clouds: f64,
    sky: Sky,
}

impl Weather {
    pub(super) fn new(seed: u64, from: Minute) -> Self {
        let seed = mix(seed ^ 0x0077_6561_7468_6572);
        let start = Chance::of_device(seed).gaussian(0);
        let outdoor = season::temperature(from) + FRONTS.0 * start;
        Self {
            seed,
            fronts: Wander::new(FRONTS.0, FRONTS.1, start),
            clouds: 0.5,
            sky: Sky { outdoor, outdoor_of_day: outdoor, sun: 0.0, pressure: 1013.0 },
        }
    }

    /// Simulates `minute`, the one after the last.
    pub(super) fn step(&mut self, minute: Minute) -> Sky {
        let chance = Chance { seed: self.seed, message: minute.0.cast_unsigned() };
        let outdoor = season::temperature(minute) + self.swing(minute) + self.fronts.step(chance.gaussian(0));
        self.cloud(minute, chance);
        self.sky = Sky {
            outdoor,
            outdoor_of_day: self.sky.outdoor_of_day + (outdoor - self.sky.outdoor_of_day) / SLOW_MINUTES,
            sun: season::sun(minute) * (1.0 - 0.8 * self.clouds),
            pressure: self.pressure(minute),
        };
        self.sky
    }

    /// The temperature swing; larger on sunny days.
    fn swing(&self, minute: Minute) -> f64 {
        let day = Minute(minute.0 + 1440 - SWING_CHANGES).day();
        let of_day = 0.3 + 0.9 * Chance { seed: self.seed, message: day.cast_unsigned() }.even(1);
        DAY_AMPLITUDE * of_day * ((minute.hour() - WARMEST) / 24.0 * TAU).cos()
    }

    /// Draws the cloud cover of a day at midnight; it changes from there.
    fn cloud(&mut self, minute: Minute, chance: Chance) {
        if minute.hour() <= 0.0 {
            self.clouds = chance.even(2);
        }
        self.clouds = (self.clouds + 0.009 * chance.gaussian(3)).clamp(0.05, 1.0);
    }

    /// The pressure, with highs and lows over one and three weeks.
    fn pressure(&self, minute: Minute) -> f64 {
        let own = Chance::of_device(self.seed);
        let days = minute.days();
        1013.0 + 3.0 * (days * 0.9 + TAU * own.even(4)).sin() + 4.0 * (days * 0.31 + TAU * own.even(5)).sin()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_outdoor_temperature_never_jumps() {
        let from = Minute::of("2026-04-06T00:00:00Z".parse().unwrap());
        let mut weather = Weather::new(5, from);
        let outdoor: Vec<f64> = (0..14 * 1440).map(|i| weather.step(Minute(from.0 + i)).outdoor).collect();
        let largest = outdoor.windows(2).skip(1).map(|pair| (pair[1] - pair[0]).abs()).fold(0.0, f64::max);
        assert!(largest < 0.4, "{largest} °C in a minute");
    }
}
