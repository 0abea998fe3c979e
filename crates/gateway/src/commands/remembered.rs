//! The ids of the newest commands with their answers: the same command twice is done once.

use std::collections::{HashMap, VecDeque};

use super::Response;

/// So many ids are remembered.
pub(super) const MOST_REMEMBERED: usize = 4096;

/// Whether a command was seen before.
pub(super) enum Seen {
    New,
    UnderWay,
    Answered(Response),
}

type Key = (String, String);

/// By device and id; none while it is under way.
#[derive(Default)]
pub(super) struct Remembered {
    answers: HashMap<Key, Option<Response>>,
    /// The oldest first.
    order: VecDeque<Key>,
}

impl Remembered {
    pub(super) fn begin(&mut self, device: &str, id: &str) -> Seen {
        let key = (device.to_owned(), id.to_owned());
        match self.answers.get(&key) {
            Some(Some(response)) => return Seen::Answered(response.clone()),
            Some(None) => return Seen::UnderWay,
            None => {}
        }
        if self.order.len() >= MOST_REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.answers.remove(&oldest);
        }
        self.order.push_back(key.clone());
        self.answers.insert(key, None);
        Seen::New
    }

    pub(super) fn finish(&mut self, device: &str, response: &Response) {
        let Some(id) = response.id.clone() else { return };
        if let Some(answer) = self.answers.get_mut(&(device.to_owned(), id)) {
            *answer = Some(response.clone());
        }
    }

    /// It was not done: it may come again.
    pub(super) fn forget(&mut self, device: &str, id: &str) {
        let key = (device.to_owned(), id.to_owned());
        self.answers.remove(&key);
        self.order.retain(|known| *known != key);
    }
}
