//! Adaptive data rate, in its minimal form: Semtech's algorithm, which The Things Network describes.
//!
//! The best SNR of the last 20 frames, less what the data rate needs, less 10 dB for bad days, is worth a step of data
//! rate or power for each 3 dB.

use std::collections::VecDeque;

use crate::data_rate::DataRate;
use crate::region::Region;

/// Frames that are looked at.
const FRAMES: usize = 20;
/// In dB.
const INSTALLATION_MARGIN: f32 = 10.0;
/// In dB.
const STEP: f32 = 3.0;
/// More than there are data rates and powers.
const MOST_STEPS: i32 = 32;

/// What is known of a device's link.
#[derive(Debug, Default)]
pub(crate) struct Adr {
    snrs: VecDeque<f32>,
    data_rate: Option<u8>,
    /// What it was asked for and has not answered.
    asked: Option<Choice>,
    /// It does not do what it is asked for.
    refused: bool,
}

/// A data rate and a power, as numbers of the region.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Choice {
    pub(crate) data_rate: u8,
    pub(crate) power: u8,
}

impl Adr {
    /// Takes note of an uplink.
    pub(crate) fn heard(&mut self, data_rate: u8, snr: Option<f32>) {
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

    /// What the device should change, if anything; `power` is what it has.
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

    /// The device was asked for this.
    pub(crate) fn asked(&mut self, choice: Choice) {
        self.asked = Some(choice);
        self.snrs.clear();
    }

    /// The device has answered; the power that it has now, where it did as it was told.
    pub(crate) fn answered(&mut self, done: bool) -> Option<u8> {
        let choice = self.asked.take()?;
        self.refused |= !done;
        done.then_some(choice.power)
    }
}

fn step(region: Region, from: Choice, steps: i32) -> Choice {
    let (fastest, weakest) = region.adr_limits();
    let mut choice = from;
    for _ in 0..steps.min(MOST_STEPS) {
        if choice.data_rate < fastest {
            choice.data_rate += 1;
        } else if choice.power < weakest {
            choice.power += 1;
        }
    }
    for _ in steps.max(-MOST_STEPS)..0 {
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
            adr.heard(data_rate, Some(snr));
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
        adr.heard(1, Some(5.0));
        assert_eq!(adr.choose(Region::Eu868, 0), None);
        let mut adr = after(20, 0, 5.0);
        adr.asked(Choice { data_rate: 5, power: 1 });
        assert_eq!(adr.answered(true), Some(1));
        assert_eq!(adr.answered(true), None, "nothing was asked");
        adr.asked(Choice { data_rate: 5, power: 2 });
        assert_eq!(adr.answered(false), None);
        for _ in 0..20 {
            adr.heard(0, Some(5.0));
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
