//! The duty cycle: the time on air of a gateway per sub-band in the last hour (ETSI EN 300 220).

use std::time::{Duration, Instant};

use crate::region::{Region, SubBand};

const HOUR: u64 = 3_600;
/// One more than an hour, because the current minute is not over.
const MINUTES: usize = 61;

/// The time on air per sub-band of a gateway.
#[derive(Debug)]
pub(crate) struct DutyCycle {
    since: Instant,
    bands: Vec<Minutes>,
}

/// The time on air of each of the last minutes, in microseconds.
#[derive(Debug, Clone)]
struct Minutes {
    used: [u32; MINUTES],
    /// The current minute since the start.
    now: u64,
}

/// The use of a sub-band by a gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DutyCycleUse {
    pub band: SubBand,
    /// The time on air in the last hour.
    pub used: Duration,
    /// The permitted time on air per hour.
    pub allowed: Duration,
}

impl DutyCycle {
    pub(crate) fn new(region: Region, now: Instant) -> Self {
        let minutes = Minutes { used: [0; MINUTES], now: 0 };
        Self { since: now, bands: vec![minutes; region.sub_bands().len()] }
    }

    /// Whether a frame may be sent. Without sub-bands it always may; with them, only within one.
    pub(crate) fn allows(&mut self, region: Region, frequency: u32, airtime: Duration, now: Instant) -> bool {
        if region.sub_bands().is_empty() {
            return true;
        }
        let Some(number) = region.sub_band(frequency) else { return false };
        let Some(band) = region.sub_bands().get(number) else { return false };
        self.minutes(number, now).is_some_and(|minutes| minutes.sum() + airtime <= allowed(band))
    }

    /// Records a frame to be sent.
    pub(crate) fn charge(&mut self, region: Region, frequency: u32, airtime: Duration, now: Instant) {
        let Some(minutes) = region.sub_band(frequency).and_then(|number| self.minutes(number, now)) else {
            return;
        };
        let place = minutes.place();
        if let Some(used) = minutes.used.get_mut(place) {
            *used = used.saturating_add(micros(airtime));
        }
    }

    /// Reverts a charge: the frame was not sent.
    pub(crate) fn refund(&mut self, region: Region, frequency: u32, airtime: Duration, now: Instant) {
        let Some(minutes) = region.sub_band(frequency).and_then(|number| self.minutes(number, now)) else {
            return;
        };
        // It may have been charged to the minute before.
        let mut rest = micros(airtime);
        for back in [0, MINUTES - 1] {
            let place = (minutes.place() + back) % MINUTES;
            if let Some(used) = minutes.used.get_mut(place) {
                let taken = rest.min(*used);
                *used -= taken;
                rest -= taken;
            }
        }
    }

    pub(crate) fn uses(&mut self, region: Region, now: Instant) -> Vec<DutyCycleUse> {
        let bands = region.sub_bands().iter().enumerate();
        let used = |duty: &mut Self, number| {
            duty.minutes(number, now).map_or(Duration::ZERO, |minutes| minutes.sum())
        };
        bands
            .map(|(number, band)| DutyCycleUse {
                band: *band,
                used: used(self, number),
                allowed: allowed(band),
            })
            .collect()
    }

    /// The minutes of a sub-band, after dropping old ones.
    fn minutes(&mut self, band: usize, now: Instant) -> Option<&mut Minutes> {
        let minute = now.saturating_duration_since(self.since).as_secs() / 60;
        let minutes = self.bands.get_mut(band)?;
        let passed = minute.saturating_sub(minutes.now).min(MINUTES as u64);
        for _ in 0..passed {
            minutes.now += 1;
            let place = minutes.place();
            if let Some(used) = minutes.used.get_mut(place) {
                *used = 0;
            }
        }
        minutes.now = minutes.now.max(minute);
        Some(minutes)
    }
}

impl Minutes {
    fn place(&self) -> usize {
        (self.now % MINUTES as u64) as usize
    }

    fn sum(&self) -> Duration {
        Duration::from_micros(self.used.iter().map(|used| u64::from(*used)).sum())
    }
}

fn allowed(band: &SubBand) -> Duration {
    Duration::from_millis(HOUR * u64::from(band.per_mille))
}

fn micros(airtime: Duration) -> u32 {
    u32::try_from(airtime.as_micros()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn start() -> Instant {
        #[expect(clippy::disallowed_methods, reason = "an instant cannot be made in another way")]
        Instant::now()
    }

    #[test]
    fn one_per_cent_is_36_seconds_an_hour_and_comes_back_after_it() {
        let (region, now) = (Region::Eu868, start());
        let mut duty = DutyCycle::new(region, now);
        for second in 0..36 {
            let at = now + SECOND * second * 60;
            assert!(duty.allows(region, 868_100_000, SECOND, at));
            duty.charge(region, 868_100_000, SECOND, at);
        }
        let full = now + SECOND * 35 * 60;
        assert!(!duty.allows(region, 868_500_000, SECOND, full), "the same sub-band");
        assert!(duty.allows(region, 867_100_000, SECOND, full), "another one");
        assert!(duty.allows(region, 869_525_000, SECOND * 300, full), "ten per cent");
        assert!(!duty.allows(region, 869_525_000, SECOND * 361, full));
        assert!(!duty.allows(region, 868_500_000, SECOND, now + SECOND * 3_600));
        assert!(duty.allows(region, 868_500_000, SECOND, now + SECOND * 3_660));
        assert!(!duty.allows(region, 868_500_000, SECOND * 2, now + SECOND * 3_660));
    }

    #[test]
    fn use_is_readable_and_a_refund_takes_it_back() {
        let (region, now) = (Region::Eu868, start());
        let mut duty = DutyCycle::new(region, now);
        duty.charge(region, 869_525_000, SECOND * 2, now);
        let used =
            |duty: &mut DutyCycle, at| duty.uses(region, at).iter().map(|each| each.used).sum::<Duration>();
        assert_eq!(used(&mut duty, now), SECOND * 2);
        assert_eq!(duty.uses(region, now)[4].allowed, SECOND * 360);
        duty.refund(region, 869_525_000, SECOND * 2, now + SECOND * 60);
        assert_eq!(used(&mut duty, now + SECOND * 60), Duration::ZERO);
    }

    #[test]
    fn a_long_silence_forgets_all_and_other_regions_have_no_bound() {
        let (region, now) = (Region::Eu868, start());
        let mut duty = DutyCycle::new(region, now);
        duty.charge(region, 868_100_000, SECOND * 36, now);
        assert!(duty.allows(region, 868_100_000, SECOND * 36, now + SECOND * 1_000_000));
        assert!(!duty.allows(region, 433_000_000, SECOND, now), "outside the sub-bands");
        let mut duty = DutyCycle::new(Region::Us915, now);
        assert!(duty.allows(Region::Us915, 923_300_000, SECOND * 3_600, now));
        assert!(duty.uses(Region::Us915, now).is_empty());
    }
}
