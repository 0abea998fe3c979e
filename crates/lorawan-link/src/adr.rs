//! Adaptive data rate: Semtech's algorithm in its minimal form, as The Things Network describes it.
//!
//! The margin is the best SNR of the last 20 frames minus the SNR that the data rate requires minus 10 dB. Each 3 dB of margin
//! allow one step of data rate or power.

use std::collections::VecDeque;

use crate::data_rate::DataRate;
use crate::region::Region;

/// The number of frames considered.
const FRAMES: usize = 20;
/// In dB.
const INSTALLATION_MARGIN: f32 = 10.0;
/// In dB.
const STEP: f32 = 3.0;
/// More than the number of data rates and powers.
const MAX_STEPS: i32 = 32;

/// The link quality of a device.
#[derive(Debug, Default)]
pub(crate) struct Adr {
    snrs: VecDeque<f32>,
    data_rate: Option<u8>,
    /// The requested change that the device has not answered.
    asked: Option<Choice>,
    /// The device has rejected a request.
    refused: bool,
}

/// A data rate and a power, by their numbers in the region.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Choice {
    pub(crate) data_rate: u8,
    pub(crate) power: u8,
}

impl Adr {
    /// Records an uplink.
    pub(crate) fn record(&mut self, data_rate: u8, snr: Option<f32>) {
        if self.data_rate != Some(data_rate) {
            self.data_rate = Some(data_rate);
            self.snrs.clear();
        }
        let Some(snr) = snr else { return };
        if self.snrs.len() >= FRAMES {
            self.snrs.pop_front();
        }
        self.snrs.push_back(snr);
    }

    /// The change to request, if any; `power` is the current one.
    pub(crate) fn choose(&mut self, region: Region, power: u8) -> Option<Choice> {
        let data_rate = self.data_rate?;
        if self.refused || self.snrs.len() < FRAMES {
            return None;
        }
        let required = region.data_rate(data_rate).and_then(DataRate::required_snr)?;
        let best = self.snrs.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let now = Choice { data_rate, power };
        let choice = step(region, now, ((best - required - INSTALLATION_MARGIN) / STEP).floor() as i32);
        (choice != now).then_some(choice)
    }

    /// The change was requested.
    pub(crate) fn asked(&mut self, choice: Choice) {
        self.asked = Some(choice);
        self.snrs.clear();
    }

    /// The device has answered. Returns its power, if it accepted.
    pub(crate) fn answered(&mut self, done: bool) -> Option<u8> {
        let choice = self.asked.take()?;
        self.refused |= !done;
        done.then_some(choice.power)
    }
}

fn step(region: Region, from: Choice, steps: i32) -> Choice {
    let (fastest, weakest) = region.adr_limits();
    let mut choice = from;
    for _ in 0..steps.min(MAX_STEPS) {
        if choice.data_rate < fastest {
            choice.data_rate += 1;
        } else if choice.power < weakest {
            choice.power += 1;
        }
    }
    for _ in steps.max(-MAX_STEPS)..0 {
        choice.power = choice.power.saturating_sub(1);
    }
    choice
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(frames: usize, data_rate: u8, snr: f32) -> Adr {
        let mut adr = Adr::default();
        for _ in 0..frames {
            adr.record(data_rate, Some(snr));
        }
        adr
    }

    #[test]
    fn twenty_frames_are_needed_and_a_good_link_gets_faster() {
        assert_eq!(after(19, 0, 5.0).choose(Region::Eu868, 0), None);
        // 5 - -20 - 10 = 15 dB, five steps.
        assert_eq!(after(20, 0, 5.0).choose(Region::Eu868, 0), Some(Choice { data_rate: 5, power: 0 }));
        // 10 - -7.5 - 10 = 7.5 dB, two steps, of power alone.
        assert_eq!(after(20, 5, 10.0).choose(Region::Eu868, 0), Some(Choice { data_rate: 5, power: 2 }));
    }

    #[test]
    fn a_bad_link_gets_louder_and_a_fitting_one_stays() {
        assert_eq!(after(20, 0, -18.0).choose(Region::Eu868, 4), Some(Choice { data_rate: 0, power: 1 }));
        assert_eq!(after(20, 3, -1.0).choose(Region::Eu868, 0), None);
    }

    #[test]
    fn another_data_rate_starts_anew_and_a_refusal_ends_it() {
        let mut adr = after(20, 0, 5.0);
        adr.record(1, Some(5.0));
        assert_eq!(adr.choose(Region::Eu868, 0), None);
        let mut adr = after(20, 0, 5.0);
        adr.asked(Choice { data_rate: 5, power: 1 });
        assert_eq!(adr.answered(true), Some(1));
        assert_eq!(adr.answered(true), None, "nothing was asked");
        adr.asked(Choice { data_rate: 5, power: 2 });
        assert_eq!(adr.answered(false), None);
        for _ in 0..20 {
            adr.record(0, Some(5.0));
        }
        assert_eq!(adr.choose(Region::Eu868, 0), None);
    }

    #[test]
    fn no_snr_leads_astray() {
        assert_eq!(after(20, 0, 3e38).choose(Region::Us915, 0), Some(Choice { data_rate: 3, power: 14 }));
        assert_eq!(after(20, 0, -3e38).choose(Region::Us915, 5), Some(Choice { data_rate: 0, power: 0 }));
        assert_eq!(after(20, 200, 5.0).choose(Region::Eu868, 0), None);
    }
}
