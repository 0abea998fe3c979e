//! Delivers published messages to the gateway's own adapters within the process, before mqtt5 routes them.
//!
//! mqtt5 acknowledges a client's QoS 1 message when it is in a subscriber's queue in memory, so a crash would lose
//! acknowledged readings. Therefore an adapter is not a subscriber: the tap delivers the message to it. The client is
//! acknowledged, and its next message read, only after the adapter has reported the outcome.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use bytes::Bytes;
use gateway_core::ports::{LocalBroker, LocalMessage, Origin};
use gateway_core::{Ack, AdapterId, MemoryBudget, memory};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, timeout, timeout_at};

use crate::acl::covers;

/// Messages queued for one adapter, over all clients.
const QUEUE_CAPACITY: usize = 1024;
/// How long a message waits for a full queue, or for an adapter that restarts.
const QUEUE_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a message waits for its outcome. Meanwhile its sender gets no answer to its pings.
const OUTCOME_TIMEOUT: Duration = Duration::from_secs(30);

/// The adapters' topic filters and queues. Clones share the state.
#[derive(Debug, Clone)]
pub struct Tap {
    subscriptions: watch::Sender<Vec<Subscription>>,
    budget: MemoryBudget,
}

#[derive(Debug, Clone)]
struct Subscription {
    adapter: AdapterId,
    filters: Vec<String>,
    /// `None` until the adapter has started.
    queue: Option<mpsc::Sender<LocalMessage>>,
    /// QoS 0 messages lost, not yet reported to the adapter.
    lost: Arc<AtomicU32>,
}

impl Subscription {
    fn covers(&self, topic: &str) -> bool {
        self.filters.iter().any(|filter| covers(filter, topic))
    }
}

/// The message was not delivered; its sender must not be acknowledged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum DeliveryError {
    #[error("the queue of {adapter} was full for {} s", QUEUE_TIMEOUT.as_secs())]
    QueueFull { adapter: AdapterId },
    #[error("the pipeline did not store it within {} s", OUTCOME_TIMEOUT.as_secs())]
    OutcomeTimeout,
    #[error("it was discarded before it was stored")]
    Dropped,
}

impl Default for Tap {
    fn default() -> Self {
        Self {
            subscriptions: watch::Sender::new(Vec::new()),
            budget: MemoryBudget::new(memory::BROKER.bytes),
        }
    }
}

impl Tap {
    /// Sets the topic filters of each adapter, and replaces all earlier ones. From now on messages wait for their
    /// adapter, so call this before the broker starts, and at a reload after the adapters have changed.
    pub fn set_subscriptions(&self, filters: impl IntoIterator<Item = (AdapterId, Vec<String>)>) {
        self.subscriptions.send_modify(|subscriptions| {
            let mut old = std::mem::take(subscriptions);
            subscriptions.extend(filters.into_iter().map(|(adapter, filters)| {
                let known = old.iter_mut().find(|old| old.adapter == adapter);
                let (queue, lost) =
                    known.map(|old| (old.queue.take(), Arc::clone(&old.lost))).unwrap_or_default();
                Subscription { adapter, filters, queue, lost }
            }));
        });
    }

    /// Whether an adapter subscribes to the topic.
    pub(crate) fn subscribes_to(&self, topic: &str) -> bool {
        self.subscriptions.borrow().iter().any(|subscription| subscription.covers(topic))
    }

    /// Delivers a message to each adapter that subscribes to it, and waits for their outcomes. Without an origin (QoS 0) it
    /// waits only for space in the queues.
    pub(crate) async fn deliver(
        &self,
        topic: Arc<str>,
        payload: Bytes,
        origin: Option<Origin>,
    ) -> Result<(), DeliveryError> {
        let mut outcomes = Vec::new();
        for adapter in self.subscribers(&topic) {
            let (ack, outcome) = if origin.is_none() { (Ack::none(), None) } else { ack_channel() };
            let (topic, payload, origin) = (Arc::clone(&topic), payload.clone(), origin.clone());
            let delivery = async {
                let memory = self.budget.acquire(payload.len()).await;
                self.enqueue(&adapter, LocalMessage { topic, payload, origin, lost_before: 0, memory, ack })
                    .await
            };
            let Ok(delivered) = timeout(QUEUE_TIMEOUT, delivery).await else {
                if outcome.is_none() {
                    self.count_loss(&adapter);
                }
                return Err(DeliveryError::QueueFull { adapter });
            };
            if delivered {
                outcomes.extend(outcome);
            }
        }
        let deadline = Instant::now() + OUTCOME_TIMEOUT;
        for outcome in outcomes {
            match timeout_at(deadline, outcome).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) => return Err(DeliveryError::Dropped),
                Err(_) => return Err(DeliveryError::OutcomeTimeout),
            }
        }
        Ok(())
    }

    fn subscribers(&self, topic: &str) -> Vec<AdapterId> {
        let subscriptions = self.subscriptions.borrow();
        let covering = subscriptions.iter().filter(|subscription| subscription.covers(topic));
        covering.map(|subscription| subscription.adapter.clone()).collect()
    }

    /// Counts a lost message; the adapter's next message reports it.
    fn count_loss(&self, adapter: &AdapterId) {
        let subscriptions = self.subscriptions.borrow();
        if let Some(subscription) = subscriptions.iter().find(|one| one.adapter == *adapter) {
            subscription.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Returns true if the message is in the queue of `adapter`, false if the adapter no longer subscribes to its topic.
    async fn enqueue(&self, adapter: &AdapterId, mut message: LocalMessage) -> bool {
        let mut changes = self.subscriptions.subscribe();
        loop {
            let (queue, lost) = {
                let subscriptions = changes.borrow_and_update();
                let subscription = subscriptions.iter().find(|one| one.adapter == *adapter);
                let Some(subscription) = subscription.filter(|one| one.covers(&message.topic)) else {
                    return false;
                };
                (subscription.queue.clone(), Arc::clone(&subscription.lost))
            };
            if let Some(queue) = queue
                && let Ok(slot) = queue.reserve().await
            {
                message.lost_before = lost.swap(0, Ordering::Relaxed);
                slot.send(message);
                return true;
            }
            // Cannot fail: `self` holds the sender.
            let _ = changes.changed().await;
        }
    }
}

impl LocalBroker for Tap {
    fn attach(&self, adapter: &AdapterId) -> mpsc::Receiver<LocalMessage> {
        let (sender, receiver) = mpsc::channel(QUEUE_CAPACITY);
        self.subscriptions.send_modify(|subscriptions| {
            if let Some(known) = subscriptions.iter_mut().find(|one| one.adapter == *adapter) {
                known.queue = Some(sender);
            } else {
                // At a reload an adapter starts before its filters are set.
                subscriptions.push(Subscription {
                    adapter: adapter.clone(),
                    filters: Vec::new(),
                    queue: Some(sender),
                    lost: Arc::default(),
                });
            }
        });
        receiver
    }
}

/// An acknowledgement, and the receiver of its outcome.
fn ack_channel() -> (Ack, Option<oneshot::Receiver<()>>) {
    let (sender, receiver) = oneshot::channel();
    let ack = Ack::new(move |_outcome| {
        // Fails if the waiting side timed out.
        let _ = sender.send(());
    });
    (ack, Some(receiver))
}

#[cfg(test)]
mod tests;
