//! A session between a device and this network, and which frames belong to it.
//!
//! A frame carries the low half of its counter; the whole one goes into its MIC. Nothing moves a counter but a frame
//! whose MIC is right.

use serde::{Deserialize, Serialize};

use crate::crypto::Mic;
use crate::frame::{DataDown, DataUp};
use crate::ids::DevAddr;
use crate::key::Key;
use crate::reason::Reason;
use crate::region::Region;

/// MAX_FCNT_GAP of LoRaWAN 1.0.x: a frame further ahead of the last one is refused.
pub const MAX_FCNT_GAP: u32 = 16_384;
/// A device that was reset is believed if its counter is below this: old frames with higher ones stay refused.
const RESET_BELOW: u32 = 64;
/// The counter of downlinks is stored this many ahead, so that a crash never has one used twice.
const RESERVED: u32 = 32;

/// When and where a device listens after its uplinks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RxParameters {
    /// Seconds from the end of an uplink to the first window, 1 to 15; the second follows a second later.
    pub delay: u8,
    /// By how much the first window is slower than the uplink.
    pub rx1_offset: u8,
    /// The number of the second window's data rate.
    pub rx2_data_rate: u8,
    /// The second window's frequency in Hz.
    pub rx2_frequency: u32,
}

impl RxParameters {
    /// What holds in a region where a device was told nothing else.
    #[must_use]
    pub const fn of(region: Region) -> Self {
        let (rx2_frequency, rx2_data_rate) = region.rx2();
        Self { delay: 1, rx1_offset: 0, rx2_data_rate, rx2_frequency }
    }
}

/// The last uplink that was accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastUplink {
    /// Its counter.
    pub f_cnt: u32,
    /// Its MIC; `None` where only its counter is known.
    pub mic: Option<[u8; 4]>,
    /// Whether the host has it for good: then a repetition is only answered.
    pub taken: bool,
}

/// A session. What is stored of it is enough to go on after a restart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// The device's address.
    pub address: DevAddr,
    /// For integrity and MAC commands.
    pub nwk_s_key: Key,
    /// For the application's data.
    pub app_s_key: Key,
    /// The last uplink; `None` before the first: then any counter of 16 bits is accepted.
    pub last_up: Option<LastUplink>,
    /// Counters of downlinks below this may have been used.
    pub f_cnt_down: u32,
    /// When and where the device listens.
    pub rx: RxParameters,
    /// The power that ADR set, as a number of the region.
    pub tx_power: u8,
    /// The next downlink's counter: at the start all that may have been used are behind it.
    #[serde(skip)]
    next_down: Option<u32>,
}

/// What a data frame is to a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// A new frame with this counter, after so many that were not heard.
    New { f_cnt: u32, lost: u32 },
    /// The last frame again.
    Repeated { f_cnt: u32 },
    /// The first frames of a device that was reset.
    Reset { f_cnt: u32 },
    /// None of it.
    Refused(Reason),
}

impl Session {
    /// A session that has not been used. `last_up`: the counter of the last frame that another server accepted.
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

    /// Its downlinks' counter lies where its device has not seen one: a device of class A is sent one frame behind each
    /// of its own at most.
    pub(crate) fn with_downlinks_behind_uplinks(self) -> Self {
        let last_up = self.last_up.map_or(0, |last| last.f_cnt);
        Self { f_cnt_down: last_up.saturating_add(RESERVED), ..self }
    }

    /// Whether a frame for its address belongs to it. `resets`: whether a device may start again at 0.
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
            Some(0) | None if resets && f_cnt < RESET_BELOW => Verdict::Reset { f_cnt },
            Some(0) | None => Verdict::Refused(Reason::Replay),
            Some(gap) if gap > max_gap => Verdict::Refused(Reason::Gap),
            Some(gap) => Verdict::New { f_cnt, lost: gap - 1 },
        }
    }

    /// The counter that the frame's MIC is right for: with the high half of the last one, the next, or an older one.
    fn whole_counter(&self, frame: &DataUp<'_>, last: u32) -> Option<u32> {
        let same = last & 0xffff_0000 | u32::from(frame.f_cnt);
        let next = same.checked_add(0x1_0000);
        // Behind the last one: more likely the low half has gone round.
        let likely = if same > last { [Some(same), next] } else { [next, Some(same)] };
        let older = [same.checked_sub(0x1_0000), Some(u32::from(frame.f_cnt))];
        let mut counters = likely.into_iter().chain(older).flatten();
        counters.find(|f_cnt| frame.verifies(&self.nwk_s_key, *f_cnt))
    }

    /// Takes note of an accepted frame.
    pub(crate) fn accept(&mut self, f_cnt: u32, mic: Mic) {
        self.last_up = Some(LastUplink { f_cnt, mic: Some(mic), taken: false });
    }

    /// Both sides start again.
    pub(crate) fn reset(&mut self) {
        self.f_cnt_down = 0;
        self.next_down = None;
        self.tx_power = 0;
    }

    /// Encodes a downlink under the next counter, and whether the session is to be stored before it leaves. `None`
    /// where the counter is used up.
    pub(crate) fn encode(&mut self, frame: DataDown) -> Option<(Vec<u8>, bool)> {
        let f_cnt = self.next_down.unwrap_or(self.f_cnt_down);
        self.next_down = Some(f_cnt.checked_add(1)?);
        let store = f_cnt >= self.f_cnt_down;
        if store {
            self.f_cnt_down = f_cnt.saturating_add(RESERVED);
        }
        Some((frame.encode(self.address, f_cnt, &self.nwk_s_key, &self.app_s_key), store))
    }
}

#[cfg(test)]
#[path = "session_tests.rs"]
mod tests;
