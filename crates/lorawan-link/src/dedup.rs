//! Deduplication: several forwarders receive the same frame, so its copies are collected for a while.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::output::Receiver;

/// Frames waiting for further copies. All wait equally long, so they leave in the order of arrival.
#[derive(Debug)]
pub(crate) struct PendingFrames<T> {
    frames: VecDeque<Frame<T>>,
    serials: HashMap<Arc<[u8]>, u64, foldhash::fast::RandomState>,
    /// The serial number of the front.
    first: u64,
    wait: Duration,
    most: usize,
    receivers: usize,
}

#[derive(Debug)]
struct Frame<T> {
    bytes: Arc<[u8]>,
    due: Instant,
    receivers: Vec<Receiver>,
    content: T,
}

impl<T> PendingFrames<T> {
    /// Holds up to `most` frames for `wait`, each with up to `receivers` receivers.
    pub(crate) fn new(wait: Duration, most: usize, receivers: usize) -> Self {
        let (most, receivers) = (most.max(1), receivers.max(1));
        Self { frames: VecDeque::new(), serials: HashMap::default(), first: 0, wait, most, receivers }
    }

    /// Adds a copy to a held frame; returns the receiver if there is none.
    pub(crate) fn add(&mut self, bytes: &[u8], receiver: Receiver) -> Result<(), Receiver> {
        let Some(serial) = self.serials.get(bytes) else { return Err(receiver) };
        let place = usize::try_from(serial.wrapping_sub(self.first)).unwrap_or(usize::MAX);
        let Some(frame) = self.frames.get_mut(place) else { return Err(receiver) };
        let room = frame.receivers.len() < self.receivers;
        match frame.receivers.iter_mut().find(|known| known.gateway == receiver.gateway) {
            Some(known) if known.quality() < receiver.quality() => *known = receiver,
            None if room => frame.receivers.push(receiver),
            Some(_) | None => {}
        }
        Ok(())
    }

    /// Holds a new frame.
    pub(crate) fn hold(&mut self, bytes: &[u8], receiver: Receiver, content: T, now: Instant) {
        let bytes: Arc<[u8]> = bytes.into();
        let serial = self.first.wrapping_add(self.frames.len() as u64);
        self.serials.insert(Arc::clone(&bytes), serial);
        self.frames.push_back(Frame { bytes, due: now + self.wait, receivers: vec![receiver], content });
    }

    /// The next frame whose time is over, or that must leave for lack of space. Its receivers are sorted, the best first.
    pub(crate) fn next(&mut self, now: Instant) -> Option<(T, Vec<Receiver>)> {
        if self.next_deadline()? > now && self.frames.len() <= self.most {
            return None;
        }
        let mut frame = self.frames.pop_front()?;
        self.first = self.first.wrapping_add(1);
        self.serials.remove(&frame.bytes);
        frame.receivers.sort_by(|a, b| {
            let ((snr_a, rssi_a), (snr_b, rssi_b)) = (a.quality(), b.quality());
            snr_b.total_cmp(&snr_a).then(rssi_b.total_cmp(&rssi_a))
        });
        Some((frame.content, frame.receivers))
    }

    /// When the time of the next frame is over.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.frames.front().map(|frame| frame.due)
    }

    pub(crate) fn len(&self) -> usize {
        self.frames.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data_rate::DataRate;
    use crate::ids::Eui;

    fn receiver(gateway: u64, rssi: f32, snr: f32) -> Receiver {
        Receiver {
            gateway: Eui::new(gateway),
            tmst: 0,
            time: None,
            fine_time: None,
            rssi,
            snr: Some(snr),
            frequency: 868_100_000,
            data_rate: DataRate::lora(7, 125),
            coding_rate: None,
            channel: None,
            antennas: Vec::new(),
        }
    }

    fn start() -> Instant {
        #[expect(clippy::disallowed_methods, reason = "an instant cannot be made in another way")]
        Instant::now()
    }

    #[test]
    fn copies_make_one_frame_with_all_its_receivers_the_best_first() {
        let mut held = PendingFrames::new(Duration::from_millis(200), 10, 10);
        let now = start();
        held.hold(b"frame", receiver(1, -90.0, 1.0), "content", now);
        assert!(held.add(b"other", receiver(2, -90.0, 1.0)).is_err());
        for copy in [receiver(2, -100.0, 7.0), receiver(3, -80.0, 1.0), receiver(1, -70.0, 1.0)] {
            held.add(b"frame", copy).unwrap();
        }
        assert!(held.next(now + Duration::from_millis(199)).is_none());
        let (content, receivers) = held.next(now + Duration::from_millis(200)).unwrap();
        let order: Vec<_> = receivers.iter().map(|receiver| (receiver.gateway, receiver.rssi)).collect();
        assert_eq!(content, "content");
        assert_eq!(order, [(Eui::new(2), -100.0), (Eui::new(1), -70.0), (Eui::new(3), -80.0)]);
        assert!(held.add(b"frame", receiver(4, 0.0, 0.0)).is_err(), "its time is over");
    }

    #[test]
    fn what_is_held_is_bounded() {
        let mut held = PendingFrames::new(Duration::from_secs(1), 3, 2);
        let now = start();
        for number in 0..10_u8 {
            held.hold(&[number], receiver(1, 0.0, 0.0), number, now);
            while held.next(now).is_some() {}
            assert!(held.len() <= 3);
        }
        for gateway in 0..10 {
            held.add(&[9], receiver(gateway, 0.0, 0.0)).unwrap();
        }
        let mut last = None;
        while let Some(next) = held.next(now + Duration::from_secs(1)) {
            last = Some(next);
        }
        assert_eq!(last.unwrap().1.len(), 2);
    }
}
