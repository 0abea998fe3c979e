//! Connected devices, for the values of their characteristics and for commands: one task per device. They share the
//! adapter's [`ConnectionPool`].
//!
//! A device that hangs uses a connection for a bounded time and delays no other device. Values that are not taken are
//! counted. Every queue has a bound.

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

use super::commands::{MAX_PENDING_COMMANDS, WriteRequest};
use super::connection::Connection;
use super::pool::ConnectionPool;

/// Values queued for the adapter.
const MAX_PENDING_VALUES: usize = 256;
/// How long a stop waits until devices are disconnected.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);
/// The most devices with commands besides those of `connect`.
const MAX_OTHER_DEVICES: usize = 256;

/// The settings `connect` and `max_connections`, ready for use.
#[derive(Debug, Clone)]
pub struct ConnectionPlan {
    pub devices: Vec<DevicePlan>,
    /// Devices that are connected at once, at most.
    pub max_connections: usize,
    /// The codec for characteristics that no entry names.
    pub codec: CodecId,
}

/// A device of `connect`.
#[derive(Debug, Clone)]
pub struct DevicePlan {
    /// In upper case.
    pub address: Arc<str>,
    /// The service that is used; `None`: all.
    pub service: Option<Uuid>,
    /// How often it is read if it does not notify.
    pub every: Duration,
    /// Codecs for characteristics of the device's own.
    pub codecs: BTreeMap<Uuid, CodecId>,
}

/// A value of a characteristic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Value {
    /// The device's address.
    pub(super) device: Arc<str>,
    /// The UUID; of the second with the same one `2a6e/2`.
    pub(super) characteristic: Arc<str>,
    pub(super) codec: CodecId,
    pub(super) value: Bytes,
}

/// What all connections of an adapter share.
#[derive(Debug, Clone)]
pub(super) struct Shared {
    pub(super) adapter: AdapterId,
    pub(super) pool: ConnectionPool,
    /// The adapter while it can be used.
    pub(super) link: watch::Receiver<Option<BluetoothAdapter>>,
    pub(super) condition: Condition,
    pub(super) values: mpsc::Sender<Value>,
    pub(super) lost: Arc<AtomicU64>,
    pub(super) codec: CodecId,
}

/// All connections of an adapter.
#[derive(Debug)]
pub(super) struct Connections {
    /// Values read and notified.
    pub(super) values: mpsc::Receiver<Value>,
    shared: Shared,
    requests: HashMap<Arc<str>, mpsc::Sender<WriteRequest>>,
    max_devices: usize,
    stop: CancellationToken,
    tasks: JoinSet<()>,
}

impl Connections {
    /// Connects to the devices of the plan whenever there is an adapter, until `stop`.
    pub(super) fn start(
        plan: ConnectionPlan,
        adapter: AdapterId,
        radio_adapter: watch::Receiver<Option<BluetoothAdapter>>,
        condition: Condition,
        stop: CancellationToken,
    ) -> Self {
        let (values_to, values) = mpsc::channel(MAX_PENDING_VALUES);
        let (link_to, link) = watch::channel(None);
        let shared = Shared {
            adapter,
            pool: ConnectionPool::new(plan.max_connections),
            link,
            condition,
            values: values_to,
            lost: Arc::default(),
            codec: plan.codec,
        };
        let (requests, max_devices) = (HashMap::new(), plan.devices.len().saturating_add(MAX_OTHER_DEVICES));
        let mut connections = Self { values, shared, requests, max_devices, stop, tasks: JoinSet::new() };
        let stop = connections.stop.clone();
        connections.tasks.spawn(async move {
            stop.run_until_cancelled(offer_adapter(radio_adapter, link_to)).await;
        });
        for device in plan.devices {
            connections.add(Arc::clone(&device.address), Some(device));
        }
        connections
    }

    /// Passes a command to its device, whose task answers it.
    pub(super) fn command(&mut self, command: Command) {
        let Some((device, request)) = WriteRequest::new(command, &self.shared.adapter) else { return };
        if !self.requests.contains_key(&*device) {
            if self.requests.len() >= self.max_devices {
                return request.busy();
            }
            self.add(device.as_str().into(), None);
        }
        let Some(requests) = self.requests.get(&*device) else { return request.not_connected() };
        match requests.try_send(request) {
            Ok(()) => {}
            Err(mpsc::error::TrySendError::Full(request)) => request.busy(),
            Err(mpsc::error::TrySendError::Closed(request)) => request.not_connected(),
        }
    }

    /// How many values were lost because they were not taken in time.
    pub(super) fn lost(&self) -> u64 {
        self.shared.lost.load(Ordering::Relaxed)
    }

    /// After the stop: answers queued commands and disconnects devices, for a bounded time.
    pub(super) async fn close(mut self) {
        drop(self.values);
        let ended = async { while self.tasks.join_next().await.is_some() {} };
        let _ = timeout(CLOSE_TIMEOUT, ended).await;
    }

    fn add(&mut self, address: Arc<str>, followed: Option<DevicePlan>) {
        let (requests_to, requests) = mpsc::channel(MAX_PENDING_COMMANDS);
        self.requests.insert(Arc::clone(&address), requests_to);
        let connection = Connection::new(self.shared.clone(), address, followed, requests);
        self.tasks.spawn(connection.run(self.stop.clone()));
    }
}

/// While the radio has a session, offers the adapter for connections.
async fn offer_adapter(
    mut radio_adapter: watch::Receiver<Option<BluetoothAdapter>>,
    link: watch::Sender<Option<BluetoothAdapter>>,
) {
    let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(30));
    loop {
        // An error: the radio has ended.
        let Ok(Some(adapter)) = radio_adapter.wait_for(Option::is_some).await.map(|adapter| adapter.clone())
        else {
            return;
        };
        match adapter.for_connections().await {
            Ok(own) => {
                backoff.reset();
                link.send_replace(Some(own));
                if radio_adapter.changed().await.is_err() {
                    return;
                }
                link.send_replace(None);
            }
            // The radio reports the error.
            Err(_) => sleep(backoff.next_wait(rand::random())).await,
        }
    }
}
