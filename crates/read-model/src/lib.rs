//! What the gateway knows now: devices and the newest value of each of their series, open alerts, the health of the
//! adapters, the ledger, and a stream of what happens. The pipeline writes it; CoAP, `riser tail`, `health` and every
//! other view read it.
//!
//! # What a reader may rely on
//! - A reader never waits for the pipeline's disk, and the pipeline never waits for a reader's work: a read takes shared
//!   pointers under a lock and gives the lock back. What it returns does not change any more.
//! - What one call returns is as of one batch of the pipeline, and visible before the senders of that batch are
//!   acknowledged. Two calls may see two batches. A value is replaced by one with the same or a later timestamp only; a late reading changes nothing.
//! - Values are those received since the process started. Devices, with name, zone and protocol, and open alerts are
//!   known from the start.
//! - The ledger is at most [`LEDGER_EVERY`] old while readings arrive, and [`LEDGER_WHEN_IDLE`] while none do.
//!   `riser audit` and `health` have it brought up to date before they read it.
//!
//! # Bounds
//! - Devices and series: those of the pipeline's registry (`gateway.max_devices`, 256 metrics a device). A series takes
//!   about 100 bytes, a device about 150 and its names.
//! - Alerts: one for each rule and series, or device, that it is raised for.
//! - Messages and actions: see `messages.rs` and `actions.rs`.
//! - The stream keeps [`STREAM_LENGTH`] items of each of its two streams; a reader that is slower misses the oldest and is
//!   told how many. While nobody reads a stream nothing is kept. A [`Follower`] keeps the names of changed devices.
//!
//! # Costs
//! One lock a batch, and for each reading two short searches by number: `benches/publish.rs` measures it.
//! [`ReadModel::devices`] costs one reference count a device; a device that is written while a reader holds it is copied.

mod actions;
mod alerts;
mod devices;
mod ledger;
mod messages;
mod stream;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use gateway_core::{AdapterHealth, DeviceId, Timestamp};
use tokio::sync::{broadcast, watch};

pub use actions::{ActionLog, ActionOutcome};
pub use alerts::OpenAlert;
use devices::Table;
pub use devices::{Description, Device, Follower, Series, SeriesDescription, Writer};
pub use ledger::{Balance, Row};
pub use messages::{DeviceMessages, MOST_BYTES, MOST_VALUES, Message, Messages};
use stream::Streams;
pub use stream::{Item, Kind, STREAM_LENGTH};

/// How often the pipeline brings the ledger up to date while it works.
pub const LEDGER_EVERY: Duration = Duration::from_secs(1);

/// How old the ledger may be while no reading arrives.
pub const LEDGER_WHEN_IDLE: Duration = Duration::from_secs(5);

/// The ledger, and when it was drawn up.
#[derive(Debug, Clone, PartialEq)]
pub struct Ledger {
    pub at: Timestamp,
    pub balance: Arc<Balance>,
}

/// The health of each adapter, and of the embedded broker, by its name.
type Adapters = Vec<(String, watch::Receiver<AdapterHealth>)>;

/// What the gateway knows now. Clones share the same.
#[derive(Debug, Clone, Default)]
pub struct ReadModel(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    table: Mutex<Table>,
    adapters: Mutex<Adapters>,
    ledger: Mutex<Option<Ledger>>,
    streams: Streams,
    messages: Messages,
    actions: ActionLog,
}

impl ReadModel {
    /// All devices, by number: in the order in which they were first received.
    #[must_use]
    pub fn devices(&self) -> Vec<Arc<Device>> {
        lock(&self.0.table).devices()
    }

    /// The device of this name.
    #[must_use]
    pub fn device(&self, name: &str) -> Option<Arc<Device>> {
        lock(&self.0.table).device(name)
    }

    /// The alerts that are raised and not cleared, by device, metric and rule.
    #[must_use]
    pub fn alerts(&self) -> Vec<Arc<OpenAlert>> {
        lock(&self.0.table).alerts()
    }

    /// From now on, which devices have new values.
    #[must_use]
    pub fn follow(&self) -> Follower {
        lock(&self.0.table).follow()
    }

    /// The health of each adapter, and of the embedded broker.
    #[must_use]
    pub fn adapters(&self) -> BTreeMap<String, AdapterHealth> {
        self.watch_adapters().into_iter().map(|(name, health)| (name, health.borrow().clone())).collect()
    }

    /// The same to wait on.
    #[must_use]
    pub fn watch_adapters(&self) -> Vec<(String, watch::Receiver<AdapterHealth>)> {
        lock(&self.0.adapters).clone()
    }

    /// Where every reading is; none before the pipeline has begun.
    #[must_use]
    pub fn ledger(&self) -> Option<Ledger> {
        lock(&self.0.ledger).clone()
    }

    /// Every reading from now on.
    #[must_use]
    pub fn readings(&self) -> broadcast::Receiver<Item> {
        self.0.streams.readings.subscribe()
    }

    /// Every aggregate and alert from now on.
    #[must_use]
    pub fn results(&self) -> broadcast::Receiver<Item> {
        self.0.streams.results.subscribe()
    }

    /// The last messages of each device.
    #[must_use]
    pub fn messages(&self) -> &Messages {
        &self.0.messages
    }

    /// What alerts have done.
    #[must_use]
    pub fn actions(&self) -> &ActionLog {
        &self.0.actions
    }

    /// The number of the device of this name.
    #[must_use]
    pub fn number(&self, device: &str) -> Option<DeviceId> {
        lock(&self.0.table).number(device)
    }

    /// For the pipeline: the changes of one batch. Readers see them when the writer is dropped.
    #[must_use]
    pub fn write(&self) -> Writer<'_> {
        Writer::new(lock(&self.0.table))
    }

    /// For the supervisor: the adapters that run now.
    pub fn set_adapters(&self, adapters: Vec<(String, watch::Receiver<AdapterHealth>)>) {
        *lock(&self.0.adapters) = adapters;
    }

    /// For the pipeline: the ledger as of `at`.
    pub fn set_ledger(&self, at: Timestamp, balance: Balance) {
        *lock(&self.0.ledger) = Some(Ledger { at, balance: Arc::new(balance) });
    }

    /// For the pipeline: whether an item of this kind would be read, so that it is worth making.
    #[must_use]
    pub fn is_read(&self, kind: Kind) -> bool {
        self.0.streams.of(kind).receiver_count() > 0
    }

    /// For the pipeline: adds to the stream of its kind.
    pub fn send(&self, item: Item) {
        // A reader that has just gone is no error.
        let _ = self.0.streams.of(item.kind).send(item);
    }
}

/// What a panicking holder leaves behind is still a table.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
