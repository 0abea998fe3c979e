//! The building's heating, by schedule, weather and season, and the power of the appliances.

use super::calendar::Minute;
use super::weather::Sky;

/// Heating is up from half past five to six in the evening.
const HEATED_FROM: f64 = 5.5;
const HEATED_UNTIL: f64 = 18.0;
/// The boiler stays off if the mean of the last day is above this at midnight, in °C.
const HEATING_LIMIT: f64 = 15.0;

/// The program of the heating.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Program {
    /// It is summer: the boiler is off.
    Off,
    /// Nights, weekends, holidays: heated to a lower temperature.
    Setback,
    /// People are present, or will be soon.
    Day,
}

impl Program {
    /// The program with a broken schedule: always as by day, unless the boiler is off.
    pub(super) const fn without_setback(self) -> Self {
        match self {
            Self::Off => Self::Off,
            Self::Setback | Self::Day => Self::Day,
        }
    }

    /// The target temperature of a room with the comfort temperature `comfort`, in °C; `None` if the boiler is off.
    pub(super) fn target(self, comfort: f64) -> Option<f64> {
        match self {
            Self::Off => None,
            Self::Setback => Some(comfort - 3.5),
            Self::Day => Some(comfort),
        }
    }

    /// The water's temperature in the pipes, in °C: the colder outside, the hotter.
    pub(super) fn supply(self, outdoor: f64) -> f64 {
        match self {
            Self::Off => 22.0,
            Self::Setback => 30.0,
            Self::Day => 55.0 - 0.8 * outdoor,
        }
    }
}

/// The boiler's controller.
#[derive(Debug, Clone, Default)]
pub(super) struct Heating {
    is_season: bool,
}

impl Heating {
    /// The program at `minute`; whether the boiler is on is decided at midnight.
    pub(super) fn step(&mut self, minute: Minute, sky: Sky, is_working_day: bool) -> Program {
        let hour = minute.hour();
        if hour <= 0.0 {
            self.is_season = sky.outdoor_of_day < HEATING_LIMIT;
        }
        match (self.is_season, is_working_day && hour > HEATED_FROM && hour < HEATED_UNTIL) {
            (false, _) => Program::Off,
            (true, true) => Program::Day,
            (true, false) => Program::Setback,
        }
    }
}

/// The power at a meter, in W: standby, an appliance that runs at times, and the devices that people switch on.
pub(super) fn power(standby: f64, is_appliance_on: bool, is_open: bool, gaussian: f64) -> f64 {
    let appliance = if is_appliance_on { 1200.0 * (1.0 + 0.02 * gaussian) } else { 0.0 };
    standby + appliance + if is_open { 200.0 } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sky(outdoor_of_day: f64) -> Sky {
        Sky { outdoor: outdoor_of_day, outdoor_of_day, sun: 0.0, pressure: 1013.0 }
    }

    #[test]
    fn the_heating_follows_the_schedule_and_the_season() {
        let at = |text: &str| Minute::of(text.parse().unwrap());
        let mut heating = Heating::default();
        assert_eq!(heating.step(at("2026-01-05T00:00:00Z"), sky(2.0), true), Program::Setback);
        assert_eq!(heating.step(at("2026-01-05T12:00:00Z"), sky(16.0), true), Program::Day);
        assert_eq!(heating.step(at("2026-01-05T12:00:00Z"), sky(2.0), false), Program::Setback);
        assert_eq!(heating.step(at("2026-01-05T19:00:00Z"), sky(2.0), true), Program::Setback);
        assert_eq!(heating.step(at("2026-07-06T00:00:00Z"), sky(19.0), true), Program::Off);
        assert_eq!(heating.step(at("2026-07-06T12:00:00Z"), sky(19.0), true), Program::Off);
    }
}
