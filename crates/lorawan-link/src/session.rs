//! A session with a device: checks frames against it and encodes downlinks.
//!
//! A frame carries the low 16 bits of its counter; the MIC covers all 32. Only a frame with a valid MIC moves a counter.

use serde::{Deserialize, Serialize};

use crate::crypto::Mic;
use crate::frame::{DataDown, DataUp};
use crate::ids::DevAddr;
use crate::key::Key;
use crate::reason::Reason;
use crate::region::Region;

/// MAX_FCNT_GAP of LoRaWAN 1.0.x: the largest accepted gap of the counter.
pub const MAX_FCNT_GAP: u32 = 16_384;
/// A restart of a device's counter is accepted below this value, so old frames with higher counters stay rejected.
const MAX_RESET_COUNTER: u32 = 64;
/// The downlink counter is stored this far ahead, so that no value is used twice after a crash.
const COUNTER_RESERVE: u32 = 32;

/// The receive windows of a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RxParameters {
    /// Seconds from the end of an uplink to RX1, 1 to 15; RX2 is one second later.
    pub delay: u8,
    /// The offset of RX1's data rate from the uplink's.
    pub rx1_offset: u8,
    /// The number of RX2's data rate.
    pub rx2_data_rate: u8,
    /// The frequency of RX2 in Hz.
    pub rx2_frequency: u32,
}

impl RxParameters {
    /// The defaults of a region.
    #[must_use]
    pub const fn of(region: Region) -> Self {
        let (rx2_frequency, rx2_data_rate) = region.rx2();
        Self { delay: 1, rx1_offset: 0, rx2_data_rate, rx2_frequency }
    }
}

/// The last uplink that was accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastUplink {
    pub f_cnt: u32,
    /// `None` if only its counter is known.
    pub mic: Option<[u8; 4]>,
    /// Whether the host has stored it: a repetition is then only acknowledged.
    pub taken: bool,
}

/// A session. Its stored part suffices to continue after a restart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    pub address: DevAddr,
    /// NwkSKey.
    pub nwk_s_key: Key,
    /// AppSKey.
    pub app_s_key: Key,
    /// `None` before the first uplink: any 16-bit counter is then accepted.
    pub last_up: Option<LastUplink>,
    /// Downlink counters below this may have been used.
    pub f_cnt_down: u32,
    pub rx: RxParameters,
    /// The power set by ADR, as a number of the region.
    pub tx_power: u8,
    /// The next downlink counter; at the start above all that may have been used.
    #[serde(skip)]
    next_down: Option<u32>,
}

/// The result of checking a data frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// A new frame, after `lost` missing ones.
    New {
        f_cnt: u32,
        lost: u32,
    },
    /// The repetition of the last frame.
    Repeated {
        f_cnt: u32,
    },
    /// The first frames after the device was reset.
    Reset {
        f_cnt: u32,
    },
    Refused(Reason),
}

impl Session {
    /// A new session. `last_up`: the counter of the last frame accepted by another server.
    #[must_use]
    pub fn new(
        address: DevAddr,
        nwk_s_key: Key,
        app_s_key: Key,
        last_up: Option<u32>,
        rx: RxParameters,
    ) -> Self {
        let last_up = last_up.map(|f_cnt| LastUplink { f_cnt, mic: None, taken: true });
        Self { address, nwk_s_key, app_s_key, last_up, f_cnt_down: 0, rx, tx_power: 0, next_down: None }
    }

    /// Moves the downlink counter beyond those the device may have seen: a class A device gets at most one downlink per
    /// uplink.
    pub(crate) fn with_counter_behind_uplinks(self) -> Self {
        let last_up = self.last_up.map_or(0, |last| last.f_cnt);
        Self { f_cnt_down: last_up.saturating_add(COUNTER_RESERVE), ..self }
    }

    /// Checks a frame with the session's address. `resets`: whether the device may restart its counter.
    pub(crate) fn judge(&self, frame: &DataUp<'_>, max_gap: u32, resets: bool) -> Verdict {
        let low = u32::from(frame.f_cnt);
        let Some(last) = self.last_up else {
            return match frame.verifies(&self.nwk_s_key, low) {
                true => Verdict::New { f_cnt: low, lost: 0 },
                false => Verdict::Refused(Reason::Mic),
            };
        };
        let Some(f_cnt) = self.whole_counter(frame, last.f_cnt) else { return Verdict::Refused(Reason::Mic) };
        match f_cnt.checked_sub(last.f_cnt) {
            Some(0) if last.mic == Some(frame.mic) => Verdict::Repeated { f_cnt },
            Some(0) | None if resets && f_cnt < MAX_RESET_COUNTER => Verdict::Reset { f_cnt },
            Some(0) | None => Verdict::Refused(Reason::Replay),
            Some(gap) if gap > max_gap => Verdict::Refused(Reason::Gap),
            Some(gap) => Verdict::New { f_cnt, lost: gap - 1 },
        }
    }

    /// The 32-bit counter that matches the frame's MIC: near the last one, or an older one.
    fn whole_counter(&self, frame: &DataUp<'_>, last: u32) -> Option<u32> {
        let same = last & 0xffff_0000 | u32::from(frame.f_cnt);
        let next = same.checked_add(0x1_0000);
        // Below the last one: probably the low half has wrapped around.
        let likely = if same > last { [Some(same), next] } else { [next, Some(same)] };
        let older = [same.checked_sub(0x1_0000), Some(u32::from(frame.f_cnt))];
        let mut counters = likely.into_iter().chain(older).flatten();
        counters.find(|f_cnt| frame.verifies(&self.nwk_s_key, *f_cnt))
    }

    /// Records an accepted frame.
    pub(crate) fn accept(&mut self, f_cnt: u32, mic: Mic) {
        self.last_up = Some(LastUplink { f_cnt, mic: Some(mic), taken: false });
    }

    /// Restarts both counters.
    pub(crate) fn reset(&mut self) {
        self.f_cnt_down = 0;
        self.next_down = None;
        self.tx_power = 0;
    }

    /// Encodes a downlink with the next counter. Also returns whether the session must be stored before it is sent. `None` if the
    /// counter is exhausted.
    pub(crate) fn encode(&mut self, frame: DataDown) -> Option<(Vec<u8>, bool)> {
        let f_cnt = self.next_down.unwrap_or(self.f_cnt_down);
        self.next_down = Some(f_cnt.checked_add(1)?);
        let store = f_cnt >= self.f_cnt_down;
        if store {
            self.f_cnt_down = f_cnt.saturating_add(COUNTER_RESERVE);
        }
        Some((frame.encode(self.address, f_cnt, &self.nwk_s_key, &self.app_s_key), store))
    }
}

#[cfg(test)]
#[path = "session_tests.rs"]
mod tests;
