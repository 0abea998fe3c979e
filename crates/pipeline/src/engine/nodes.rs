//! What is known of nodes with our own firmware besides their readings: which numbers they have used, which image they run.
//!
//! Guarantees: readings that a node sends again under their number, because an acknowledgement was lost, count once; the counter
//! of a sealed frame is accepted once; both also after a restart, for this is part of the state (docs/decisions/0023).

use std::collections::{BTreeMap, VecDeque};

use codecs::ReplayWindow;
use gateway_core::{DeviceId, DropReason, Timestamp};
use serde::{Deserialize, Serialize};

/// How many numbers are remembered per node. A node sends the oldest first and goes on when it is acknowledged, so what comes again
/// is its newest.
const REMEMBERED: usize = 64;

/// What one frame says of its node, as a step has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeReport {
    pub device: DeviceId,
    /// The number of the frame's readings.
    pub sequence: Option<u16>,
    /// The counter of a sealed frame.
    pub counter: Option<u32>,
    /// Name and version of the image.
    pub firmware: Option<Box<str>>,
    /// How many reports the node has given up since its start.
    pub lost: Option<u32>,
}

/// By device; at most as many as the registry has.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Nodes(BTreeMap<DeviceId, Node>);

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Node {
    /// The newest last.
    sequences: VecDeque<u16>,
    /// [`ReplayWindow::to_parts`].
    window: (Option<u32>, u64),
    firmware: Option<Box<str>>,
    lost: u32,
    /// When its newest frame came, in milliseconds since 1970.
    heard_at: i64,
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
        if !report.counter.is_none_or(|counter| node.accept(counter)) {
            return Err(DropReason::Replay);
        }
        if report.sequence.is_some_and(|sequence| node.sequences.contains(&sequence)) {
            return Err(DropReason::Duplicate);
        }
        Ok(())
    }

    /// Takes note of a frame, new or not.
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
        if let Some(counter) = report.counter {
            self.accept(counter);
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

    fn accept(&mut self, counter: u32) -> bool {
        let (highest, accepted) = self.window;
        let mut window = ReplayWindow::from_parts(highest, accepted);
        let is_new = window.accept(counter);
        self.window = window.to_parts();
        is_new
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: Timestamp = Timestamp::from_millis(1_000);

    fn report(sequence: impl Into<Option<u16>>, counter: impl Into<Option<u32>>) -> NodeReport {
        let (sequence, counter) = (sequence.into(), counter.into());
        NodeReport { device: DeviceId(7), sequence, counter, firmware: None, lost: None }
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
