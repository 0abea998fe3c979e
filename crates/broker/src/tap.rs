//! Where the gateway's own adapters take what clients publish: within the process, before mqtt5 routes it.
//!
//! mqtt5 by itself acknowledges a client's QoS 1 message when it stands in a subscriber's queue in memory, so a crash
//! would lose acknowledged readings. So an adapter is no subscriber: a client's message is handed to it here, and the
//! client is acknowledged, and its next message read, only when the adapter has told the outcome.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use bytes::Bytes;
use gateway_core::ports::{LocalBroker, LocalMessage, Origin};
use gateway_core::{Ack, AdapterId, MemoryQuota, memory};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, timeout, timeout_at};

use crate::acl::covers;

/// Messages that may wait for an adapter, over all clients.
const WAITING: usize = 1024;
/// How long a message waits for room, or for an adapter that is being started again.
const ROOM_PATIENCE: Duration = Duration::from_secs(5);
/// How long a message waits for its outcome: while it does, its sender gets no answer to its pings.
const OUTCOME_PATIENCE: Duration = Duration::from_secs(30);

/// Which adapters want which topics, and their receivers. Clones are the same tap.
#[derive(Debug, Clone)]
pub struct Tap {
    interests: watch::Sender<Vec<Interest>>,
    quota: MemoryQuota,
}

#[derive(Debug, Clone)]
struct Interest {
    adapter: AdapterId,
    filters: Vec<String>,
    /// None until the adapter has started.
    attached: Option<mpsc::Sender<LocalMessage>>,
    /// Messages that nobody sends again, lost and not yet told.
    lost: Arc<AtomicU32>,
}

impl Interest {
    fn covers(&self, topic: &str) -> bool {
        self.filters.iter().any(|filter| covers(filter, topic))
    }
}

/// Why a message was not taken; its sender must not be acknowledged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotTaken {
    #[error("{adapter} had no room for it within {} s", ROOM_PATIENCE.as_secs())]
    NoRoom { adapter: AdapterId },
    #[error("its outcome was not told within {} s", OUTCOME_PATIENCE.as_secs())]
    NoOutcome,
    #[error("it was given up before it was stored")]
    Dropped,
}

impl Default for Tap {
    fn default() -> Self {
        Self { interests: watch::Sender::new(Vec::new()), quota: MemoryQuota::new(memory::BROKER.bytes) }
    }
}

impl Tap {
    /// Says which topic filters each adapter wants from now on, in place of what was said before. What an adapter wants
    /// waits for it from here on, so this comes before the broker's start, and at a reload after the adapters are what
    /// they are to be.
    pub fn set_wanted(&self, wanted: impl IntoIterator<Item = (AdapterId, Vec<String>)>) {
        self.interests.send_modify(|interests| {
            let mut old = std::mem::take(interests);
            interests.extend(wanted.into_iter().map(|(adapter, filters)| {
                let known = old.iter_mut().find(|old| old.adapter == adapter);
                let (attached, lost) =
                    known.map(|old| (old.attached.take(), Arc::clone(&old.lost))).unwrap_or_default();
                Interest { adapter, filters, attached, lost }
            }));
        });
    }

    /// Whether any adapter wants the topic.
    pub(crate) fn wants(&self, topic: &str) -> bool {
        self.interests.borrow().iter().any(|interest| interest.covers(topic))
    }

    /// Hands a message to each adapter that wants it, and waits for their outcomes; without an origin (QoS 0) for room
    /// only.
    pub(crate) async fn take(
        &self,
        topic: Arc<str>,
        payload: Bytes,
        origin: Option<Origin>,
    ) -> Result<(), NotTaken> {
        let mut outcomes = Vec::new();
        for adapter in self.wanting(&topic) {
            let (ack, told) = if origin.is_none() { (Ack::none(), None) } else { expected() };
            let (topic, payload, origin) = (Arc::clone(&topic), payload.clone(), origin.clone());
            let hand = async {
                let permit = self.quota.take(payload.len()).await;
                self.hand(&adapter, LocalMessage { topic, payload, origin, lost_before: 0, permit, ack })
                    .await
            };
            let Ok(handed) = timeout(ROOM_PATIENCE, hand).await else {
                if told.is_none() {
                    self.lost(&adapter);
                }
                return Err(NotTaken::NoRoom { adapter });
            };
            if handed {
                outcomes.extend(told);
            }
        }
        let give_up = Instant::now() + OUTCOME_PATIENCE;
        for told in outcomes {
            match timeout_at(give_up, told).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) => return Err(NotTaken::Dropped),
                Err(_) => return Err(NotTaken::NoOutcome),
            }
        }
        Ok(())
    }

    fn wanting(&self, topic: &str) -> Vec<AdapterId> {
        let interests = self.interests.borrow();
        let wanting = interests.iter().filter(|interest| interest.covers(topic));
        wanting.map(|interest| interest.adapter.clone()).collect()
    }

    /// Told with the next message that this adapter gets.
    fn lost(&self, adapter: &AdapterId) {
        let interests = self.interests.borrow();
        if let Some(interest) = interests.iter().find(|one| one.adapter == *adapter) {
            interest.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// True when `adapter` has the message, false when it wants its topic no longer.
    async fn hand(&self, adapter: &AdapterId, mut message: LocalMessage) -> bool {
        let mut changes = self.interests.subscribe();
        loop {
            let (attached, lost) = {
                let interests = changes.borrow_and_update();
                let wanting = interests.iter().find(|one| one.adapter == *adapter);
                let Some(wanting) = wanting.filter(|one| one.covers(&message.topic)) else { return false };
                (wanting.attached.clone(), Arc::clone(&wanting.lost))
            };
            if let Some(attached) = attached
                && let Ok(place) = attached.reserve().await
            {
                message.lost_before = lost.swap(0, Ordering::Relaxed);
                place.send(message);
                return true;
            }
            // Cannot fail: `self` holds the sender.
            let _ = changes.changed().await;
        }
    }
}

impl LocalBroker for Tap {
    fn attach(&self, adapter: &AdapterId) -> mpsc::Receiver<LocalMessage> {
        let (sender, receiver) = mpsc::channel(WAITING);
        self.interests.send_modify(|interests| {
            if let Some(known) = interests.iter_mut().find(|one| one.adapter == *adapter) {
                known.attached = Some(sender);
            } else {
                // At a reload an adapter starts before it is said what it wants.
                interests.push(Interest {
                    adapter: adapter.clone(),
                    filters: Vec::new(),
                    attached: Some(sender),
                    lost: Arc::default(),
                });
            }
        });
        receiver
    }
}

/// An acknowledgement, and where it is told.
fn expected() -> (Ack, Option<oneshot::Receiver<()>>) {
    let (tell, told) = oneshot::channel();
    let ack = Ack::new(move |_outcome| {
        // Whoever waited may have given up.
        let _ = tell.send(());
    });
    (ack, Some(told))
}

#[cfg(test)]
mod tests;
