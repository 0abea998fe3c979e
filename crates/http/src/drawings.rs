//! Answers that take a while to write, such as a list of a thousand devices: written beside the worker thread that readings pass
//! through, two at a time, and shared for a second by all who ask the same.
//!
//! - What is shared is at most [`FRESH`] old, and was begun after the last alert: who is told of an alert and asks finds it.
//! - A question waits [`TURN_TIMEOUT`] for its turn at most. Of shared answers [`MOST`] are kept, until they are old.

use std::collections::VecDeque;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::http::HeaderValue;
use bytes::Bytes;
use pipeline::clock::monotonic;
use serde::Serialize;
use tokio::sync::{OnceCell, Semaphore};

use crate::problem::Problem;

/// Answers that are written at a time.
const AT_A_TIME: usize = 2;
const TURN_TIMEOUT: Duration = Duration::from_secs(10);
/// How old an answer may be.
const FRESH: Duration = Duration::from_millis(900);
/// Different answers that are shared; each is 1 MiB at most, or a little more.
const MOST: usize = 8;
/// A longer question is shared with nobody.
const LONGEST_QUESTION: usize = 1024;

/// An answer in JSON, with its tag (RFC 9110, section 8.8.3).
#[derive(Debug, Clone)]
pub(crate) struct Drawing {
    pub(crate) json: Bytes,
    pub(crate) tag: Option<HeaderValue>,
}

/// Draws up answers. Clones share what is known.
#[derive(Debug, Clone)]
pub(crate) struct Drawings(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    turns: Semaphore,
    /// The oldest first.
    known: Mutex<VecDeque<Arc<Entry>>>,
}

/// One answer that is shared: the first who asks draws it up, and the others wait for it.
#[derive(Debug)]
struct Entry {
    question: String,
    begun: Instant,
    drawing: OnceCell<Drawing>,
}

impl Drawing {
    /// Writing a large one takes milliseconds.
    pub(crate) fn of(body: &impl Serialize) -> Self {
        let json = serde_json::to_vec(body).unwrap_or_default();
        let tag = format!("\"{:08x}-{:x}\"", crc32fast::hash(&json), json.len());
        Self { json: json.into(), tag: HeaderValue::from_str(&tag).ok() }
    }
}

impl Default for Drawings {
    fn default() -> Self {
        Self(Arc::new(Shared { turns: Semaphore::new(AT_A_TIME), known: Mutex::default() }))
    }
}

impl Drawings {
    /// What `draw` returns, on a thread that may take its time.
    pub(crate) async fn draw<T: Send + 'static>(
        &self,
        draw: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Problem> {
        let busy = || Problem::unavailable("too many questions at once; try again");
        let turn = tokio::time::timeout(TURN_TIMEOUT, self.0.turns.acquire()).await;
        let _turn = turn.map_err(|_| busy())?.map_err(|_| busy())?;
        let drawn = tokio::task::spawn_blocking(draw).await;
        drawn.map_err(|_| Problem::unavailable("the answer could not be written; the log says why"))
    }

    /// The answer to `question`: one that others were given a moment ago, or what `draw` makes now. The question says
    /// all that the answer depends on, but what changes with time.
    pub(crate) async fn shared(
        &self,
        question: String,
        draw: impl Future<Output = Result<Drawing, Problem>>,
    ) -> Result<Drawing, Problem> {
        if question.len() > LONGEST_QUESTION {
            return draw.await;
        }
        let entry = self.entry(question, monotonic());
        entry.drawing.get_or_try_init(|| draw).await.cloned()
    }

    fn entry(&self, question: String, now: Instant) -> Arc<Entry> {
        self.forget_old(now);
        let mut known = self.known();
        if let Some(entry) = known.iter().find(|entry| entry.question == question) {
            return Arc::clone(entry);
        }
        let entry = Arc::new(Entry { question, begun: now, drawing: OnceCell::new() });
        if known.len() >= MOST {
            known.pop_front();
        }
        known.push_back(Arc::clone(&entry));
        entry
    }

    /// Something has happened that everybody should see at once.
    pub(crate) fn forget(&self) {
        self.known().clear();
    }

    /// Gives the memory of old answers back.
    pub(crate) fn forget_old(&self, now: Instant) {
        self.known().retain(|entry| now.saturating_duration_since(entry.begun) < FRESH);
    }

    fn known(&self) -> MutexGuard<'_, VecDeque<Arc<Entry>>> {
        self.0.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[tokio::test]
    async fn who_asks_the_same_within_a_second_shares_one_answer() {
        let drawings = Drawings::default();
        let drawn = AtomicUsize::new(0);
        let ask = async |question: &str| {
            let draw = async {
                tokio::task::yield_now().await;
                Ok(Drawing::of(&drawn.fetch_add(1, Ordering::Relaxed)))
            };
            drawings.shared(question.to_owned(), draw).await.unwrap().json
        };
        let (one, two, other) = tokio::join!(ask("a"), ask("a"), ask("b"));
        assert_eq!(one, two);
        assert_ne!(one, other);
        drawings.forget();
        assert_eq!(ask("a").await, "2");
        drawings.forget_old(monotonic());
        assert_eq!(ask("a").await, "2");
        drawings.forget_old(monotonic() + FRESH);
        assert_eq!(ask("a").await, "3");
        ask(&"x".repeat(LONGEST_QUESTION + 1)).await;
        assert_eq!(drawings.known().len(), 1, "a long question is not kept");
    }

    #[tokio::test]
    async fn a_draft_that_failed_is_drawn_again_by_the_next_who_asks() {
        let drawings = Drawings::default();
        let failed = drawings.shared("a".to_owned(), async { Err(Problem::unavailable("not now")) }).await;
        assert!(failed.is_err());
        let drawn = drawings.shared("a".to_owned(), async { Ok(Drawing::of(&1)) }).await;
        assert_eq!(drawn.unwrap().json, "1");
    }
}
