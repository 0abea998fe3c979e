//! Whose readings lie in the open windows: what the ledger needs to balance for each adapter and not only as a whole.
//!
//! Windows merge the readings of a device, whichever adapter received them. Here is counted, by device, how many each
//! adapter brought that no publication has answered for yet. Most devices have one adapter. Where there are
//! several, the one that reported first is answered for first: which window a reading closed with may be another's, the
//! sums are exact.

use gateway_core::DeviceId;
use serde::{Deserialize, Serialize};

use super::step::AdapterIndex;

/// How many readings of each adapter something holds.
pub(crate) type Shares = Vec<(AdapterIndex, u32)>;

/// By device id.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct Origins(Vec<Shares>);

impl Origins {
    /// A reading went into a window.
    pub(crate) fn admit(&mut self, device: DeviceId, adapter: AdapterIndex) {
        let place = device.0 as usize;
        if place >= self.0.len() {
            self.0.resize_with(place + 1, Vec::new);
        }
        let Some(shares) = self.0.get_mut(place) else { return };
        match shares.iter_mut().find(|(known, _)| *known == adapter) {
            Some((_, count)) => *count = count.saturating_add(1),
            None => shares.push((adapter, 1)),
        }
    }

    /// A publication answers for `readings` of a device: whose they were.
    pub(crate) fn close(&mut self, device: DeviceId, readings: u32) -> Shares {
        let mut left = readings;
        let mut closed = Shares::new();
        if let Some(shares) = self.0.get_mut(device.0 as usize) {
            for (adapter, count) in shares.iter_mut() {
                let taken = left.min(*count);
                if taken > 0 {
                    closed.push((*adapter, taken));
                }
                *count -= taken;
                left -= taken;
            }
            shares.retain(|(_, count)| *count > 0);
        }
        closed
    }

    /// Readings by adapter that no publication has answered for.
    pub(crate) fn open(&self) -> impl Iterator<Item = (AdapterIndex, u64)> + '_ {
        self.0.iter().flatten().map(|(adapter, count)| (*adapter, u64::from(*count)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FLOOR: AdapterIndex = AdapterIndex(0);
    const ROOF: AdapterIndex = AdapterIndex(1);

    #[test]
    fn answers_for_who_spoke_first_and_keeps_the_sums() {
        let mut origins = Origins::default();
        for adapter in [FLOOR, ROOF, FLOOR] {
            origins.admit(DeviceId(3), adapter);
        }
        assert_eq!(origins.close(DeviceId(3), 1), [(FLOOR, 1)]);
        assert_eq!(origins.open().collect::<Vec<_>>(), [(FLOOR, 1), (ROOF, 1)]);
        assert_eq!(origins.close(DeviceId(3), 2), [(FLOOR, 1), (ROOF, 1)]);
        assert_eq!(origins.open().count(), 0);
    }
}
