//! What waits for one script: its messages in the order in which they came, and how fast it is.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use gateway_core::Uplink;

use super::reader::Reader;
use codecs::script_thread::CALL_TIMEOUT;

/// So much may wait for any script, however slow it is.
const MESSAGES: usize = 64;
const BYTES: usize = 512 << 10;

/// A message, and what will read it.
pub(crate) struct Message {
    pub(crate) uplink: Uplink,
    pub(crate) reader: Arc<Reader>,
}

/// The messages of one script. It reads one at a time, so those of a device stay in their order.
#[derive(Default)]
pub(crate) struct ScriptQueue {
    waiting: VecDeque<Message>,
    bytes: usize,
    /// How long the script takes for a message, of late.
    pace: Duration,
    /// Whether a thread is at its first message.
    pub(crate) busy: bool,
}

impl ScriptQueue {
    pub(crate) fn push(&mut self, message: Message) {
        self.bytes += message.uplink.payload.len();
        self.waiting.push_back(message);
    }

    pub(crate) fn pop(&mut self) -> Option<Message> {
        let message = self.waiting.pop_front()?;
        self.bytes = self.bytes.saturating_sub(message.uplink.payload.len());
        Some(message)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Whether it has more to do than it will have done soon: it would delay all.
    pub(crate) fn is_behind(&self) -> bool {
        let waiting = u32::try_from(self.waiting.len()).unwrap_or(u32::MAX);
        let many = self.waiting.len() >= MESSAGES || self.bytes >= BYTES;
        many && self.pace.saturating_mul(waiting) > CALL_TIMEOUT
    }

    /// A message took so long, or takes so long already.
    pub(crate) fn took(&mut self, time: Duration) {
        self.pace = if self.pace.is_zero() { time } else { (self.pace * 7 + time) / 8 };
    }

    pub(crate) fn uplinks_mut(&mut self) -> impl Iterator<Item = &mut Uplink> {
        self.waiting.iter_mut().map(|message| &mut message.uplink)
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use gateway_core::AdapterId;

    use super::*;

    fn queue(messages: usize, pace_millis: u64) -> ScriptQueue {
        let mut queue = ScriptQueue::default();
        queue.took(Duration::from_millis(pace_millis));
        (0..messages).for_each(|_| queue.push(message()));
        queue
    }

    fn message() -> Message {
        let uplink = testkit::uplink(AdapterId::new("mqtt", "floor"), "");
        let uplink = Uplink { payload: Bytes::from_static(&[0; 1024]), ..uplink };
        Message { uplink, reader: Arc::new(Reader::Nothing) }
    }

    #[test]
    fn a_script_is_behind_where_more_waits_than_it_reads_in_time_and_never_with_a_few() {
        assert!(!queue(63, 200).is_behind(), "a few always may wait");
        assert!(queue(64, 200).is_behind());
        assert!(!queue(256, 10).is_behind(), "a backlog is no fault of a script that is fast enough");
        assert!(!queue(1_000, 0).is_behind(), "its speed is not known yet");
    }

    #[test]
    fn a_slow_message_is_made_good_by_quick_ones() {
        let mut queue = queue(64, 1_000);
        assert!(queue.is_behind());
        (0..32).for_each(|_| queue.took(Duration::from_millis(1)));
        assert!(!queue.is_behind());
    }

    #[test]
    fn what_has_left_weighs_no_more() {
        let mut queue = queue(600, 100);
        assert!(queue.is_behind());
        while queue.pop().is_some() {}
        assert!(queue.is_empty() && !queue.is_behind());
        assert_eq!(queue.bytes, 0);
    }
}
