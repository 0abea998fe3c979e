//! Frames of a network server's devices that never came: gaps in their counters.
//!
//! What was lost is a reading of the step, so that a replay after a crash needs none of the memory here. It is empty after
//! each start: nothing is known of a loss before the first frame of a device, or before one whose counter started again.

use std::sync::Arc;

use codecs::envelope::Envelope;
use gateway_core::{BoundedMap, DeviceAddress};

use super::directory::canonical;

/// Devices that are remembered, at most; a new one takes the place of the oldest.
const REMEMBERED: usize = 16_384;

/// Counters that are further apart belong to different sessions (MAX_FCNT_GAP of the LoRa Alliance).
const MAX_GAP: u32 = 16_384;

/// Device -> the counter of its last frame.
#[derive(Debug)]
pub(crate) struct FrameLosses(BoundedMap<Arc<str>, u32>);

impl Default for FrameLosses {
    fn default() -> Self {
        Self(BoundedMap::new(REMEMBERED))
    }
}

impl FrameLosses {
    /// Writes into a message how many frames were lost before it, where that is known.
    pub(crate) fn note(&mut self, device: Option<&DeviceAddress>, envelope: &mut Envelope) {
        if let (Some(device), Some(counter)) = (device, envelope.counter)
            && let Some(lost) = self.lost(&canonical(device.as_str()), counter)
        {
            envelope.lost_before(lost);
        }
    }

    fn lost(&mut self, device: &str, counter: u32) -> Option<u32> {
        let Some(last) = self.0.get_mut(device) else {
            self.0.insert(device.into(), counter);
            return None;
        };
        let last = std::mem::replace(last, counter);
        // The same frame again is none, and a lower counter has begun again.
        let lost = counter.checked_sub(last)?.checked_sub(1)?;
        (lost < MAX_GAP).then_some(lost)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_in_the_counter_is_what_was_lost() {
        let mut losses = FrameLosses::default();
        let found: Vec<_> = [5, 6, 9, 9, 10].map(|counter| losses.lost("hall", counter)).into();
        assert_eq!(found, [None, Some(0), Some(2), None, Some(0)]);
        assert_eq!(losses.lost("lounge", 7), None, "another device");
    }

    #[test]
    fn a_counter_that_begins_again_or_leaps_tells_nothing() {
        let mut losses = FrameLosses::default();
        let leap = MAX_GAP + 10;
        let found: Vec<_> =
            [9, 0, 1, leap, leap + 1, u32::MAX, 0].map(|counter| losses.lost("hall", counter)).into();
        assert_eq!(found, [None, None, Some(0), None, Some(0), None, None]);
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut losses = FrameLosses::default();
        for number in 0..=REMEMBERED {
            losses.lost(&format!("d{number}"), 1);
        }
        assert!(losses.0.len() <= REMEMBERED);
        assert_eq!(losses.lost(&format!("d{REMEMBERED}"), 2), Some(0), "the newest is known");
    }
}
