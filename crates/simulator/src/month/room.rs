//! A room: people come and go, the heating and the sun warm it, the air gets stale and moist.

use super::calendar::Minute;
use super::plant::Program;
use super::wander::Wander;
use super::weather::Sky;
use crate::chance::{Chance, mix};

/// CO2 of fresh air, and the increase in a full room in the long run, in ppm.
const FRESH: f64 = 420.0;
const STALE: f64 = 700.0;
/// The time constants of CO2 and moisture, in minutes.
const AIR_CHANGE: f64 = 40.0;
const MOISTURE: f64 = 120.0;
/// The cooling per minute for each °C above the outdoor temperature, with closed and with open window.
const LOSS: f64 = 0.0006;
const LOSS_BY_WINDOW: f64 = 0.01;
/// The heating per minute in °C: radiators fully on, one person, the sun.
const RADIATOR: f64 = 0.03;
const PERSON: f64 = 0.0008;
const SUN: f64 = 0.006;
/// Draughts at the sensor: standard deviation in °C, memory in minutes.
const DRAUGHTS: (f64, f64) = (0.046, 47.0);

/// The influences on a room in one minute.
#[derive(Debug, Clone, Copy)]
pub(super) struct RoomContext {
    pub(super) sky: Sky,
    pub(super) is_working_day: bool,
    pub(super) program: Program,
    pub(super) is_window_open: bool,
}

/// The fixed properties of a room.
#[derive(Debug, Clone)]
struct Habits {
    /// The comfort temperature, in °C.
    comfort: f64,
    /// The most people in it.
    capacity: f64,
    /// Hours of the day.
    opens: f64,
    closes: f64,
    /// The share of the opening hours in which an appliance runs, 0..1.
    appliance: f64,
}

/// Steps from minute to minute.
#[derive(Debug, Clone)]
pub(super) struct Room {
    seed: u64,
    habits: Habits,
    draughts: Wander,
    /// The temperature of walls and air, in °C.
    warmth: f64,
    /// In ppm.
    pub(super) co2: f64,
    /// Relative, in %.
    pub(super) humidity: f64,
    /// The standby power, in W.
    pub(super) standby: f64,
    pub(super) is_open: bool,
    pub(super) is_appliance_on: bool,
}

impl Room {
    /// Room `number` of the building with `seed`; it does not depend on other rooms.
    pub(super) fn new(seed: u64, number: u64) -> Self {
        let seed = mix(mix(seed) ^ number);
        let own = Chance::of_device(seed);
        let habits = Habits {
            comfort: 21.0 + 0.7 * own.gaussian(0),
            capacity: 2.0 + 6.0 * own.even(1),
            opens: 7.0 + 2.0 * own.even(2),
            closes: 16.5 + 2.0 * own.even(3),
            appliance: 0.2 + 0.5 * own.even(4),
        };
        Self {
            seed,
            warmth: habits.comfort - 2.0,
            habits,
            draughts: Wander::new(DRAUGHTS.0, DRAUGHTS.1, 0.0),
            co2: FRESH,
            humidity: 45.0,
            standby: 20.0 + 60.0 * own.even(5),
            is_open: false,
            is_appliance_on: false,
        }
    }

    /// The air temperature at the sensor, in °C.
    pub(super) fn temperature(&self) -> f64 {
        self.warmth + self.draughts.value()
    }

    /// Daylight and lamps, in lux; each gaussian is one flicker.
    pub(super) fn illuminance(&self, sun: f64, daylight_flicker: f64, lamp_flicker: f64) -> f64 {
        let lamps = if self.is_open { 350.0 + 5.0 * lamp_flicker } else { 0.0 };
        sun * 4000.0 * (1.0 + 0.05 * daylight_flicker) + lamps
    }

    /// Simulates `minute`, the one after the last.
    pub(super) fn step(&mut self, minute: Minute, context: RoomContext) {
        let hour = minute.hour();
        self.is_open = context.is_working_day && hour > self.habits.opens && hour < self.habits.closes;
        let quarter = Chance { seed: self.seed, message: minute.quarter().cast_unsigned() };
        let people = self.people(quarter);
        self.is_appliance_on = quarter.even(7) < if self.is_open { self.habits.appliance } else { 0.05 };
        self.warm(context, people);
        self.breathe(context, people);
        let chance = Chance { seed: self.seed, message: minute.0.cast_unsigned() };
        self.draughts.step(chance.gaussian(8));
    }

    /// The number of people; it changes every quarter of an hour.
    fn people(&self, quarter: Chance) -> f64 {
        let capacity = self.habits.capacity;
        if self.is_open {
            (capacity * (0.5 + 0.3 * quarter.gaussian(6))).clamp(0.0, capacity).round()
        } else {
            0.0
        }
    }

    fn warm(&mut self, context: RoomContext, people: f64) {
        let valve = context
            .program
            .target(self.habits.comfort)
            .map_or(0.0, |target| ((target - self.warmth) * 0.8).clamp(0.0, 1.0));
        let loss = LOSS + if context.is_window_open { LOSS_BY_WINDOW } else { 0.0 };
        let sky = context.sky;
        self.warmth +=
            valve * RADIATOR + people * PERSON + sky.sun * SUN - (self.warmth - sky.outdoor) * loss;
    }

    fn breathe(&mut self, context: RoomContext, people: f64) {
        let stays = if context.is_window_open { 0.1 } else { 1.0 };
        let stale = FRESH + people * STALE / self.habits.capacity * stays;
        self.co2 += (stale - self.co2) / AIR_CHANGE;
        let moist = (38.0 + 1.2 * (context.sky.outdoor - 5.0)).clamp(15.0, 75.0) + people * 0.8;
        self.humidity += (moist - self.humidity) / MOISTURE;
    }
}
