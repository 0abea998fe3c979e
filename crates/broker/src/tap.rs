//! Delivers published messages to the gateway's own adapters within the process.
//!
//! An adapter is not a client: its message is acknowledged to the publisher when the adapter has reported its outcome,
//! which is when the pipeline has stored it. While an adapter's queue is full, nothing more is read of the clients that
//! publish to it; other clients do not wait.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use broker_engine::{AckToken, LocalPublish, Message};
use gateway_core::ports::{LocalBroker, LocalMessage, Origin};
use gateway_core::{Ack, AdapterId, MemoryBudget, MemoryPermit, Throttle, memory};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, timeout};
use tracing::warn;

use crate::LOG_PERIOD;
use crate::hub::Hub;

/// Messages queued for one adapter, over all clients.
const QUEUE_CAPACITY: usize = 1024;
/// How long a message waits for a full queue, or for an adapter that restarts.
const QUEUE_TIMEOUT: Duration = Duration::from_secs(5);

/// The adapters' topic filters and queues. Clones share the state.
#[derive(Debug, Clone)]
pub struct Tap {
    subscriptions: watch::Sender<Vec<Subscription>>,
    budget: MemoryBudget,
    refusals: Arc<Throttle>,
}

#[derive(Debug, Clone)]
struct Subscription {
    /// The adapter's number in the engine; it stays the same while the gateway runs.
    number: u16,
    adapter: AdapterId,
    filters: Vec<String>,
    /// `None` until the adapter has started.
    queue: Option<mpsc::Sender<LocalMessage>>,
    /// QoS 0 messages lost, not yet reported to the adapter.
    lost: Arc<AtomicU32>,
}

impl Default for Tap {
    fn default() -> Self {
        Self {
            subscriptions: watch::Sender::new(Vec::new()),
            budget: MemoryBudget::new(memory::BROKER.bytes),
            refusals: Arc::new(Throttle::new(LOG_PERIOD)),
        }
    }
}

impl Tap {
    /// Sets the topic filters of each adapter, and replaces all earlier ones. From now on messages wait for their
    /// adapter, so call this before the broker starts, and at a reload after the adapters have changed.
    pub fn set_subscriptions(&self, filters: impl IntoIterator<Item = (AdapterId, Vec<String>)>) {
        self.subscriptions.send_modify(|subscriptions| {
            subscriptions.iter_mut().for_each(|one| one.filters.clear());
            for (adapter, filters) in filters {
                find_or_add(subscriptions, &adapter).filters = filters;
            }
        });
    }

    /// Told when filters change.
    pub(crate) fn changes(&self) -> watch::Receiver<impl Sized + use<>> {
        self.subscriptions.subscribe()
    }

    /// All topic filters, with the number of their adapter.
    pub(crate) fn filters(&self) -> Vec<(u16, String)> {
        let subscriptions = self.subscriptions.borrow();
        let numbered = |one: &Subscription| {
            let number = one.number;
            one.filters.iter().map(move |filter| (number, filter.clone())).collect::<Vec<_>>()
        };
        subscriptions.iter().flat_map(numbered).collect()
    }

    /// Delivers a message to those of its adapters that have room at once. Returns false if others must wait for room: these
    /// are left in it.
    pub(crate) fn deliver_now(&self, hub: &Arc<Hub>, local: &mut LocalPublish) -> bool {
        while let Some(&number) = local.adapters.first() {
            if !self.try_send(hub, local, number) {
                return false;
            }
            local.adapters.remove(0);
        }
        true
    }

    fn try_send(&self, hub: &Arc<Hub>, local: &LocalPublish, number: u16) -> bool {
        let subscriptions = self.subscriptions.borrow();
        let Some(subscription) = subscriptions.iter().find(|one| one.number == number) else { return true };
        let Some(queue) = &subscription.queue else { return false };
        let (Ok(slot), Some(memory)) =
            (queue.try_reserve(), self.budget.try_acquire(local.message.payload.len()))
        else {
            return false;
        };
        slot.send(message(hub, local, subscription.lost.swap(0, Ordering::Relaxed), memory));
        true
    }

    /// Delivers messages one after the other, each as soon as there is room. Returns false if one was not taken that its
    /// publisher must send again; the others are not delivered then.
    pub(crate) async fn deliver(&self, hub: &Arc<Hub>, locals: Vec<LocalPublish>) -> bool {
        for local in locals {
            for &number in &local.adapters {
                if timeout(QUEUE_TIMEOUT, self.send(hub, &local, number)).await.is_err() {
                    self.tell(number, &local.message);
                    if local.token.is_some() {
                        return false;
                    }
                    self.count_loss(number);
                }
            }
        }
        true
    }

    async fn send(&self, hub: &Arc<Hub>, local: &LocalPublish, number: u16) {
        let memory = self.budget.acquire(local.message.payload.len()).await;
        let mut changes = self.subscriptions.subscribe();
        loop {
            let (queue, lost) = {
                let subscriptions = changes.borrow_and_update();
                let Some(one) = subscriptions.iter().find(|one| one.number == number) else { return };
                (one.queue.clone(), Arc::clone(&one.lost))
            };
            if let Some(queue) = queue
                && let Ok(slot) = queue.reserve().await
            {
                slot.send(message(hub, local, lost.swap(0, Ordering::Relaxed), memory));
                return;
            }
            // Cannot fail: `self` holds the sender.
            let _ = changes.changed().await;
        }
    }

    /// Delivers a message that nobody waits for.
    pub(crate) fn spawn_delivery(&self, hub: &Arc<Hub>, mut local: LocalPublish) {
        if self.deliver_now(hub, &mut local) {
            return;
        }
        let hub = Arc::clone(hub);
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move { hub.tap.deliver(&hub, vec![local]).await });
        }
    }

    fn tell(&self, number: u16, message: &Message) {
        let Some(left_out) = self.refusals.allow(Instant::now().into_std()) else { return };
        let subscriptions = self.subscriptions.borrow();
        let adapter = subscriptions.iter().find(|one| one.number == number).map(|one| one.adapter.clone());
        let (adapter, topic) = (adapter.map(|adapter| adapter.to_string()), &message.topic);
        let seconds = QUEUE_TIMEOUT.as_secs();
        warn!(
            adapter,
            %topic,
            left_out,
            "broker: a message was not accepted: the adapter's queue was full for {seconds} s"
        );
    }

    /// Counts a lost message; the adapter's next message reports it.
    fn count_loss(&self, number: u16) {
        let subscriptions = self.subscriptions.borrow();
        if let Some(subscription) = subscriptions.iter().find(|one| one.number == number) {
            subscription.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// The queue of an adapter.
    pub(crate) fn attach(&self, adapter: &AdapterId) -> mpsc::Receiver<LocalMessage> {
        let (sender, receiver) = mpsc::channel(QUEUE_CAPACITY);
        self.subscriptions.send_modify(|subscriptions| {
            // At a reload an adapter starts before its filters are set.
            find_or_add(subscriptions, adapter).queue = Some(sender);
        });
        receiver
    }
}

fn find_or_add<'a>(subscriptions: &'a mut Vec<Subscription>, adapter: &AdapterId) -> &'a mut Subscription {
    let index = subscriptions.iter().position(|one| one.adapter == *adapter).unwrap_or(subscriptions.len());
    if index == subscriptions.len() {
        subscriptions.push(Subscription {
            number: u16::try_from(index).unwrap_or(u16::MAX),
            adapter: adapter.clone(),
            filters: Vec::new(),
            queue: None,
            lost: Arc::default(),
        });
    }
    #[expect(clippy::indexing_slicing, reason = "found, or just pushed")]
    &mut subscriptions[index]
}

fn message(hub: &Arc<Hub>, local: &LocalPublish, lost_before: u32, memory: MemoryPermit) -> LocalMessage {
    let origin = local.origin.as_ref();
    LocalMessage {
        topic: Arc::clone(&local.message.topic),
        payload: local.message.payload.clone(),
        origin: origin.map(|(client, packet_id, again)| Origin {
            client: Arc::clone(client),
            user: local.message.user().cloned(),
            packet_id: *packet_id,
            again: *again,
        }),
        lost_before,
        memory,
        ack: local.token.map_or_else(Ack::none, |token| acknowledgement(hub, token)),
    }
}

/// Tells the engine the outcome; if it is dropped without one, that the message was not taken.
fn acknowledgement(hub: &Arc<Hub>, token: AckToken) -> Ack {
    struct Pending {
        hub: Arc<Hub>,
        token: AckToken,
        taken: bool,
    }
    impl Drop for Pending {
        fn drop(&mut self) {
            self.hub.adapter_done(self.token, self.taken);
        }
    }
    let mut pending = Pending { hub: Arc::clone(hub), token, taken: false };
    Ack::new(move |_outcome| {
        pending.taken = true;
        drop(pending);
    })
}

/// The broker as the gateway's own adapters see it.
#[derive(Clone)]
pub struct LocalAccess {
    pub(crate) hub: Arc<Hub>,
}

impl LocalBroker for LocalAccess {
    fn attach(&self, adapter: &AdapterId) -> mpsc::Receiver<LocalMessage> {
        self.hub.tap.attach(adapter)
    }

    fn publish(&self, topic: &str, payload: bytes::Bytes) {
        self.hub.publish(topic, payload);
    }
}
