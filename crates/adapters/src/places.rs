//! Messages that are under way to the pipeline: so many places, and the pipeline's word on each.
//!
//! Promises: each acknowledgement that is given out is answered by one word, also where it is dropped unsaid. A place is
//! free again once its word has been read and let go.

use std::sync::Arc;

use gateway_core::{Ack, Outcome};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

/// The pipeline's word on a message.
#[derive(Debug)]
pub(crate) struct Told<Id> {
    /// Which message.
    pub(crate) id: Id,
    /// `None`: it could not be taken.
    pub(crate) outcome: Option<Outcome>,
    /// Why it was refused, in words.
    pub(crate) why: Option<String>,
    _place: Place,
}

/// One message's.
pub(crate) type Place = OwnedSemaphorePermit;

/// All of them.
#[derive(Debug)]
pub(crate) struct Places<Id> {
    count: usize,
    free: Arc<Semaphore>,
    tell: mpsc::Sender<Told<Id>>,
}

impl<Id: Copy + Send + 'static> Places<Id> {
    /// So many, and where the words come.
    pub(crate) fn new(count: usize) -> (Self, mpsc::Receiver<Told<Id>>) {
        // A place is held until its word is read, so the channel is never full.
        let (tell, told) = mpsc::channel(count);
        (Self { count, free: Arc::new(Semaphore::new(count)), tell }, told)
    }

    pub(crate) fn take(&self) -> Option<Place> {
        Arc::clone(&self.free).try_acquire_owned().ok()
    }

    /// What goes with the message.
    pub(crate) fn ack(&self, id: Id, place: Place) -> Ack {
        let mut word = Word { id, tell: self.tell.clone(), place: Some(place) };
        Ack::in_words(move |outcome, why| word.say(Some(outcome), why))
    }

    pub(crate) fn are_all_free(&self) -> bool {
        self.free.available_permits() == self.count
    }
}

/// Says how it went; dropped without a word, that it could not be taken.
struct Word<Id: Copy> {
    id: Id,
    tell: mpsc::Sender<Told<Id>>,
    place: Option<Place>,
}

impl<Id: Copy> Word<Id> {
    fn say(&mut self, outcome: Option<Outcome>, why: Option<String>) {
        if let Some(place) = self.place.take() {
            // Who waited for it may have ended.
            let _ = self.tell.try_send(Told { id: self.id, outcome, why, _place: place });
        }
    }
}

impl<Id: Copy> Drop for Word<Id> {
    fn drop(&mut self) {
        self.say(None, None);
    }
}
