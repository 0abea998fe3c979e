//! What is known of nodes with our own firmware besides their readings: which numbers they have used, which image they run.
//!
//! Guarantees: readings that a node sends again under their number, because an acknowledgement was lost, count once; the counter
//! of a sealed frame is accepted once with each key; a replayed frame changes nothing. All this also after a restart, for it is
//! part of the state (docs/decisions/0023). With a new key, counters and numbers begin again.

use std::collections::{BTreeMap, VecDeque};

use codecs::{ReplayWindow, Seal};
use gateway_core::{DeviceId, DropReason, Timestamp};
use serde::{Deserialize, Serialize};

/// How many numbers are remembered per node. A node sends the oldest first and goes on when it is acknowledged, so what comes again
/// is its newest.
const REMEMBERED: usize = 64;

/// The counters of how many keys are remembered per node: who goes back to an old key does not take its old frames again.
const KEYS: usize = 4;

/// What one frame says of its node, as a step has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeReport {
    pub device: DeviceId,
    /// The number of the frame's readings.
    pub sequence: Option<u16>,
    /// Of a sealed frame.
    pub seal: Option<Seal>,
    /// Name and version of the image.
    pub firmware: Option<Box<str>>,
    /// How many reports the node has given up since its start.
    pub lost: Option<u32>,
}

impl NodeReport {
    /// What is noted of the frame, judged by [`Nodes::judge`]: of readings that came again only that this frame's counter is used.
    pub(crate) fn after(self, judged: Result<(), DropReason>) -> Option<Self> {
        match judged {
            Ok(()) => Some(self),
            Err(DropReason::Duplicate) => Some(Self { firmware: None, lost: None, ..self }),
            Err(_) => None,
        }
    }
}

/// By device; at most as many as the registry has.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Nodes(BTreeMap<DeviceId, Node>);

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Node {
    /// The newest last.
    sequences: VecDeque<u16>,
    /// The one in use last.
    keys: VecDeque<Counters>,
    firmware: Option<Box<str>>,
    lost: u32,
    /// When its newest frame came, in milliseconds since 1970.
    heard_at: i64,
}

/// Those that came with one key.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Counters {
    /// [`Seal::key`].
    key: u64,
    /// [`ReplayWindow::to_parts`].
    window: (Option<u32>, u64),
}

/// A node and its image, for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Image<'a> {
    pub device: DeviceId,
    pub firmware: &'a str,
    pub lost: u32,
    pub heard_at: Timestamp,
}

impl Nodes {
    /// Whether a frame is new, after those of `earlier`, which are in the same step.
    ///
    /// # Errors
    /// The reason to drop it: its counter, or the number of its readings, was there before.
    pub(crate) fn judge(&self, report: &NodeReport, earlier: &[NodeReport]) -> Result<(), DropReason> {
        let mut node = self.0.get(&report.device).cloned().unwrap_or_default();
        let same_node = earlier.iter().filter(|earlier| earlier.device == report.device);
        same_node.for_each(|earlier| node.take(earlier));
        if !report.seal.is_none_or(|seal| node.accept(seal)) {
            return Err(DropReason::Replay);
        }
        if report.sequence.is_some_and(|sequence| node.sequences.contains(&sequence)) {
            return Err(DropReason::Duplicate);
        }
        Ok(())
    }

    /// Takes note of a frame.
    pub(crate) fn take(&mut self, report: &NodeReport, at: Timestamp) {
        let node = self.0.entry(report.device).or_default();
        node.take(report);
        node.heard_at = at.as_millis();
    }

    /// The nodes that have said which image they run.
    pub fn images(&self) -> impl Iterator<Item = Image<'_>> {
        self.0.iter().filter_map(|(device, node)| {
            let firmware = node.firmware.as_deref()?;
            let heard_at = Timestamp::from_millis(node.heard_at);
            Some(Image { device: *device, firmware, lost: node.lost, heard_at })
        })
    }
}

impl Node {
    fn take(&mut self, report: &NodeReport) {
        if let Some(seal) = report.seal {
            self.accept(seal);
        }
        if let Some(sequence) = report.sequence.filter(|number| !self.sequences.contains(number)) {
            self.sequences.push_back(sequence);
            if self.sequences.len() > REMEMBERED {
                self.sequences.pop_front();
            }
        }
        if let Some(firmware) = &report.firmware {
            self.firmware = Some(firmware.clone());
        }
        if let Some(lost) = report.lost {
            self.lost = lost;
        }
    }

    fn accept(&mut self, Seal { key, counter }: Seal) -> bool {
        if self.keys.back().is_none_or(|newest| newest.key != key) {
            self.use_key(key);
        }
        let Some(counters) = self.keys.back_mut() else { return false };
        let (highest, accepted) = counters.window;
        let mut window = ReplayWindow::from_parts(highest, accepted);
        let is_new = window.accept(counter);
        counters.window = window.to_parts();
        is_new
    }

    fn use_key(&mut self, key: u64) {
        let known = self.keys.iter().position(|counters| counters.key == key);
        let known = known.and_then(|index| self.keys.remove(index));
        self.keys.push_back(known.unwrap_or(Counters { key, window: ReplayWindow::default().to_parts() }));
        if self.keys.len() > KEYS {
            self.keys.pop_front();
        }
        self.sequences.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: Timestamp = Timestamp::from_millis(1_000);

    fn report(sequence: impl Into<Option<u16>>, counter: impl Into<Option<u32>>) -> NodeReport {
        let (sequence, seal) = (sequence.into(), counter.into().map(|counter| Seal { key: 1, counter }));
        NodeReport { device: DeviceId(7), sequence, seal, firmware: None, lost: None }
    }

    fn with_key(key: u64, report: NodeReport) -> NodeReport {
        NodeReport { seal: report.seal.map(|seal| Seal { key, ..seal }), ..report }
    }

    #[test]
    fn readings_under_a_number_that_was_there_are_a_duplicate() {
        let mut nodes = Nodes::default();
        assert_eq!(nodes.judge(&report(1, None), &[]), Ok(()));
        assert_eq!(nodes.judge(&report(1, None), &[report(1, None)]), Err(DropReason::Duplicate));
        nodes.take(&report(1, None), AT);
        assert_eq!(nodes.judge(&report(1, None), &[]), Err(DropReason::Duplicate));
        let other = NodeReport { device: DeviceId(8), ..report(1, None) };
        assert_eq!(nodes.judge(&other, &[report(1, None)]), Ok(()));
        (2..=65).for_each(|number| nodes.take(&report(number, None), AT));
        assert_eq!(nodes.judge(&report(1, None), &[]), Ok(()), "64 others came since");
        assert_eq!(nodes.judge(&report(2, None), &[]), Err(DropReason::Duplicate));
    }

    #[test]
    fn a_counter_is_accepted_once_also_after_a_restart() {
        let mut nodes = Nodes::default();
        nodes.take(&report(1, 100), AT);
        let nodes: Nodes = postcard::from_bytes(&postcard::to_stdvec(&nodes).unwrap()).unwrap();
        assert_eq!(nodes.judge(&report(2, 100), &[]), Err(DropReason::Replay));
        assert_eq!(nodes.judge(&report(2, 101), &[report(3, 101)]), Err(DropReason::Replay));
        assert_eq!(nodes.judge(&report(2, 36), &[]), Err(DropReason::Replay), "older than the window");
        assert_eq!(nodes.judge(&report(2, 37), &[]), Ok(()), "overtaken by others");
        assert_eq!(nodes.judge(&report(1, 101), &[]), Err(DropReason::Duplicate), "sent again, sealed anew");
    }

    #[test]
    fn with_a_new_key_counters_and_numbers_begin_again_and_those_of_the_old_stay_used() {
        let mut nodes = Nodes::default();
        nodes.take(&report(1, 100), AT);
        assert_eq!(nodes.judge(&with_key(2, report(1, 0)), &[]), Ok(()));
        nodes.take(&with_key(2, report(1, 0)), AT);
        assert_eq!(nodes.judge(&with_key(2, report(2, 0)), &[]), Err(DropReason::Replay));
        assert_eq!(nodes.judge(&report(2, 100), &[]), Err(DropReason::Replay));
        assert_eq!(nodes.judge(&report(2, 101), &[]), Ok(()));
        (3..=5).for_each(|key| nodes.take(&with_key(key, report(1, 0)), AT));
        assert_eq!(nodes.0[&DeviceId(7)].keys.len(), KEYS);
    }

    #[test]
    fn the_newest_image_of_a_node_is_known() {
        let mut nodes = Nodes::default();
        nodes.take(&report(1, None), AT);
        assert_eq!(nodes.images().count(), 0);
        for firmware in ["rp2040 0.1.0", "rp2040 0.2.0"] {
            nodes.take(&NodeReport { firmware: Some(firmware.into()), ..report(None, None) }, AT);
        }
        nodes.take(&report(2, None), AT);
        nodes.take(&NodeReport { lost: Some(12), ..report(None, None) }, AT);
        let image = Image { device: DeviceId(7), firmware: "rp2040 0.2.0", lost: 12, heard_at: AT };
        assert_eq!(nodes.images().collect::<Vec<_>>(), [image]);
    }
}
