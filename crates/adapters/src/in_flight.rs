//! The messages in flight to the pipeline: bounds their number and collects their outcomes.
//!
//! Each acknowledgement yields exactly one [`Completion`], even if it is dropped. A slot is free again when its completion
//! has been received and dropped.

use std::sync::Arc;

use gateway_core::{Ack, Outcome};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

/// The outcome of a message.
#[derive(Debug)]
pub(crate) struct Completion<Id> {
    /// The message.
    pub(crate) id: Id,
    /// `None` if the pipeline could not accept it.
    pub(crate) outcome: Option<Outcome>,
    /// Why it was refused, as text for the sender.
    pub(crate) reason: Option<String>,
    _slot: Slot,
}

/// The permit of one message.
pub(crate) type Slot = OwnedSemaphorePermit;

/// All messages in flight of one adapter.
#[derive(Debug)]
pub(crate) struct InFlight<Id> {
    count: usize,
    free: Arc<Semaphore>,
    completions: mpsc::Sender<Completion<Id>>,
}

impl<Id: Copy + Send + 'static> InFlight<Id> {
    /// Allows `count` messages in flight. Returns the receiver of their completions.
    pub(crate) fn new(count: usize) -> (Self, mpsc::Receiver<Completion<Id>>) {
        // A slot is held until its completion is received, so the channel is never full.
        let (completions, receiver) = mpsc::channel(count);
        (Self { count, free: Arc::new(Semaphore::new(count)), completions }, receiver)
    }

    pub(crate) fn try_acquire(&self) -> Option<Slot> {
        Arc::clone(&self.free).try_acquire_owned().ok()
    }

    /// The acknowledgement to send with the message.
    pub(crate) fn ack(&self, id: Id, slot: Slot) -> Ack {
        let mut sender = AckSender { id, completions: self.completions.clone(), slot: Some(slot) };
        Ack::with_reason(move |outcome, reason| sender.send(Some(outcome), reason))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.free.available_permits() == self.count
    }
}

/// Sends one completion; if it is dropped before, one without an outcome.
struct AckSender<Id: Copy> {
    id: Id,
    completions: mpsc::Sender<Completion<Id>>,
    slot: Option<Slot>,
}

impl<Id: Copy> AckSender<Id> {
    fn send(&mut self, outcome: Option<Outcome>, reason: Option<String>) {
        if let Some(slot) = self.slot.take() {
            // Fails if the adapter has ended.
            let completion = Completion { id: self.id, outcome, reason, _slot: slot };
            let _ = self.completions.try_send(completion);
        }
    }
}

impl<Id: Copy> Drop for AckSender<Id> {
    fn drop(&mut self) {
        self.send(None, None);
    }
}
