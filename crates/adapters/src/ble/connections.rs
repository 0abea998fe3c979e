//! The devices that are connected to, for the values of their characteristics and for commands: a task each, which share
//! the adapter's [`Slots`] and a connection to the bus of their own.
//!
//! Promises: a device that hangs holds a slot for a bounded time and nobody else up; what is said while nobody listens is
//! counted; nothing waits without a bound.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use ble_link::{BluetoothAdapter, Uuid};
use bytes::Bytes;
use gateway_core::ports::Command;
use gateway_core::{AdapterId, Backoff, CodecId, Condition};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::commands::{Order, WAITING};
use super::connection::Connection;
use super::slots::Slots;

/// Values that wait for the adapter.
const ROOM: usize = 256;
/// How long after the stop devices are waited for.
const LAST_WORDS: Duration = Duration::from_secs(2);
/// Devices that commands go to besides those of `connect`.
const MOST_OTHERS: usize = 256;

/// What `connect` and `max_connections` say, ready for use.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Whose values are wanted.
    pub devices: Vec<Followed>,
    /// Devices that are connected at once, at most.
    pub max_connections: usize,
    /// What reads the values of characteristics that no entry names.
    pub codec: CodecId,
}

/// A device of `connect`.
#[derive(Debug, Clone)]
pub struct Followed {
    /// In upper case.
    pub address: Arc<str>,
    /// The service that is looked at; `None`: all.
    pub service: Option<Uuid>,
    /// How often it is read, where its values do not come by themselves.
    pub every: Duration,
    /// What reads characteristics of the device's own.
    pub codecs: BTreeMap<Uuid, CodecId>,
}

/// A value of a characteristic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Value {
    /// The device's address.
    pub(super) device: Arc<str>,
    /// The UUID; of the second with the same one `2a6e/2`.
    pub(super) characteristic: Arc<str>,
    /// What reads it.
    pub(super) codec: CodecId,
    /// The bytes.
    pub(super) value: Bytes,
}

/// What all connections share.
#[derive(Debug, Clone)]
pub(super) struct Shared {
    pub(super) adapter: AdapterId,
    pub(super) slots: Slots,
    /// Over a connection to the bus that carries no advertisements.
    pub(super) link: watch::Receiver<Option<BluetoothAdapter>>,
    pub(super) condition: Condition,
    pub(super) values: mpsc::Sender<Value>,
    pub(super) lost: Arc<AtomicU64>,
    pub(super) codec: CodecId,
}

/// All of an adapter's.
#[derive(Debug)]
pub(super) struct Connections {
    /// What the devices say.
    pub(super) values: mpsc::Receiver<Value>,
    shared: Shared,
    orders: HashMap<Arc<str>, mpsc::Sender<Order>>,
    most: usize,
    stop: CancellationToken,
    tasks: JoinSet<()>,
}

impl Connections {
    /// Connects to the devices of the plan whenever there is an adapter, until `stop`.
    pub(super) fn start(
        plan: Plan,
        adapter: AdapterId,
        seen: watch::Receiver<Option<BluetoothAdapter>>,
        condition: Condition,
        stop: CancellationToken,
    ) -> Self {
        let (values_to, values) = mpsc::channel(ROOM);
        let (link_to, link) = watch::channel(None);
        let shared = Shared {
            adapter,
            slots: Slots::new(plan.max_connections),
            link,
            condition,
            values: values_to,
            lost: Arc::default(),
            codec: plan.codec,
        };
        let (orders, most) = (HashMap::new(), plan.devices.len().saturating_add(MOST_OTHERS));
        let mut connections = Self { values, shared, orders, most, stop, tasks: JoinSet::new() };
        let stop = connections.stop.clone();
        connections.tasks.spawn(async move {
            stop.run_until_cancelled(keep_linked(seen, link_to)).await;
        });
        for device in plan.devices {
            connections.add(Arc::clone(&device.address), Some(device));
        }
        connections
    }

    /// Gives a command to its device; the command's sender is told what becomes of it.
    pub(super) fn command(&mut self, command: Command) {
        let Some((device, order)) = Order::of(command, &self.shared.adapter) else { return };
        if !self.orders.contains_key(&*device) {
            if self.orders.len() >= self.most {
                return order.busy();
            }
            self.add(device.as_str().into(), None);
        }
        let Some(orders) = self.orders.get(&*device) else { return order.not_connected() };
        match orders.try_send(order) {
            Ok(()) => {}
            Err(mpsc::error::TrySendError::Full(order)) => order.busy(),
            Err(mpsc::error::TrySendError::Closed(order)) => order.not_connected(),
        }
    }

    /// How many values were lost since nobody took them in time.
    pub(super) fn lost(&self) -> u64 {
        self.shared.lost.load(Ordering::Relaxed)
    }

    /// After the stop: commands that wait are answered, and devices disconnected, if that does not take long.
    pub(super) async fn close(mut self) {
        drop(self.values);
        let ended = async { while self.tasks.join_next().await.is_some() {} };
        let _ = timeout(LAST_WORDS, ended).await;
    }

    fn add(&mut self, address: Arc<str>, followed: Option<Followed>) {
        let (orders_to, orders) = mpsc::channel(WAITING);
        self.orders.insert(Arc::clone(&address), orders_to);
        let connection = Connection::new(self.shared.clone(), address, followed, orders);
        self.tasks.spawn(connection.run(self.stop.clone()));
    }
}

/// While the radio has a session, keeps a connection to the bus for GATT alone: on the radio's own an answer waits behind
/// all advertisements.
async fn keep_linked(
    mut seen: watch::Receiver<Option<BluetoothAdapter>>,
    link: watch::Sender<Option<BluetoothAdapter>>,
) {
    let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(30));
    loop {
        // An error: the radio has ended.
        let Ok(Some(adapter)) = seen.wait_for(Option::is_some).await.map(|adapter| adapter.clone()) else {
            return;
        };
        match adapter.for_connections().await {
            Ok(own) => {
                backoff.reset();
                link.send_replace(Some(own));
                if seen.changed().await.is_err() {
                    return;
                }
                link.send_replace(None);
            }
            // The radio tells what is wrong.
            Err(_) => sleep(backoff.next_wait(rand::random())).await,
        }
    }
}
