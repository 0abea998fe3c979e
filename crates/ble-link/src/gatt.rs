//! A connected device: reads, writes and subscribes to its characteristics.
//!
//! Every call ends within [`DEVICE_TIMEOUT`], or twice that. A device that hangs does not delay other devices. A connection
//! attempt that is dropped is disconnected. Each value is reported once: by [`Notifications`] if the characteristic is
//! subscribed to, by [`Peripheral::read`] if it is read.

mod error;

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;

pub use error::GattError;
pub(crate) use error::{characteristic_error, connect_error};

use crate::adapter::BluetoothAdapter;
use crate::backend::{Connected, Device};
use crate::uuid::Uuid;

/// How long a device may take to connect, to list its services or to answer: the transaction time-out of ATT (Core
/// Specification, vol. 3, part F, 3.3.3).
pub const DEVICE_TIMEOUT: Duration = Duration::from_secs(30);
/// The longest value of a characteristic (Core Specification, vol. 3, part F, 3.2.9).
pub const MAX_VALUE: usize = 512;
/// Notifications that wait to be read. Further ones are dropped and counted.
const MAX_PENDING_VALUES: usize = 64;
/// The most characteristics of a device that are used; further ones are ignored.
pub(crate) const MAX_CHARACTERISTICS: usize = 256;

/// A characteristic of a connected device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Characteristic {
    pub uuid: Uuid,
    pub service: Uuid,
    /// 1 for the first characteristic with this UUID in the device, 2 for the second, in the order of their handles.
    pub instance: u8,
    /// Its value can be read.
    pub can_read: bool,
    /// It can notify or indicate.
    pub can_notify: bool,
    pub(crate) write_type: Option<WriteType>,
    pub(crate) id: CharacteristicId,
}

impl Characteristic {
    #[must_use]
    pub const fn is_writable(&self) -> bool {
        self.write_type.is_some()
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WriteType {
    /// The device confirms the write.
    WithResponse,
    /// The device does not confirm the write.
    WithoutResponse,
}

impl WriteType {
    /// A write that is confirmed is preferred.
    pub(crate) const fn new(with_response: bool, without_response: bool) -> Option<Self> {
        match (with_response, without_response) {
            (true, _) => Some(Self::WithResponse),
            (false, true) => Some(Self::WithoutResponse),
            (false, false) => None,
        }
    }
}

/// Identifies a characteristic of a connected device: its position in the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct CharacteristicId(pub(crate) usize);

/// A connected device. Dropping it disconnects the device; [`Self::close`] waits until that is done.
#[derive(Debug)]
pub struct Peripheral {
    characteristics: Vec<Characteristic>,
    device: Box<dyn Device>,
}

impl Peripheral {
    /// Connects to the device and discovers its characteristics. `address` may be in upper or lower case.
    ///
    /// # Errors
    /// If bluetoothd does not know the device, or the device is out of reach or does not answer.
    pub async fn connect(
        adapter: &BluetoothAdapter,
        address: &str,
    ) -> Result<(Self, Notifications), GattError> {
        let connected = adapter.0.connect(&address.to_ascii_uppercase()).await?;
        let Connected { device, characteristics, notifications } = connected;
        Ok((Self { characteristics, device }, notifications))
    }

    /// In the order of their handles.
    #[must_use]
    pub fn characteristics(&self) -> &[Characteristic] {
        &self.characteristics
    }

    #[must_use]
    pub fn characteristic(&self, id: CharacteristicId) -> Option<&Characteristic> {
        self.characteristics.get(id.0)
    }

    /// Reads a value.
    ///
    /// # Errors
    /// If the device does not answer, does not permit it, or has disconnected.
    pub async fn read(&self, characteristic: &Characteristic) -> Result<Vec<u8>, GattError> {
        let value = self.device.read(characteristic.id).await?;
        check_length(&value)?;
        Ok(value)
    }

    /// Writes a value: with response if the characteristic supports that, otherwise without response.
    ///
    /// # Errors
    /// If it cannot be written, or as [`Self::read`].
    pub async fn write(&self, characteristic: &Characteristic, value: &[u8]) -> Result<(), GattError> {
        check_length(value)?;
        let Some(write_type) = characteristic.write_type else {
            let (uuid, reason) = (characteristic.uuid, "it cannot be written".to_owned());
            return Err(GattError::NotPermitted { uuid, call: "WriteValue", reason });
        };
        self.device.write(characteristic.id, value, write_type == WriteType::WithResponse).await
    }

    /// Enables notifications or indications. They arrive through [`Notifications::next`].
    ///
    /// # Errors
    /// As [`Self::read`].
    pub async fn subscribe(&self, characteristic: &Characteristic) -> Result<(), GattError> {
        self.device.subscribe(characteristic.id).await
    }

    /// Disconnects and waits for that, for a bounded time.
    pub async fn close(self) {
        self.device.close().await;
    }
}

/// The notifications and indications of a connected device.
#[derive(Debug)]
pub struct Notifications {
    values: mpsc::Receiver<(CharacteristicId, Vec<u8>)>,
    gone: Arc<OnceLock<&'static str>>,
    lost: Arc<AtomicU64>,
    _reader: AbortOnDropHandle<()>,
}

/// A notified value, or the end of the connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeviceEvent {
    /// A new value; [`Peripheral::characteristic`] finds its characteristic.
    Value {
        source: CharacteristicId,
        /// At most [`MAX_VALUE`] bytes.
        value: Vec<u8>,
    },
    /// The device has disconnected or bluetoothd has stopped. No further event follows.
    Disconnected { reason: &'static str },
}

/// Where a backend puts the values that a device notifies. It never waits.
#[derive(Debug)]
pub(crate) struct ValueSender {
    values: mpsc::Sender<(CharacteristicId, Vec<u8>)>,
    lost: Arc<AtomicU64>,
}

impl ValueSender {
    pub(crate) fn send(&self, source: CharacteristicId, value: Vec<u8>) {
        if self.values.try_send((source, value)).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Notifications {
    /// Runs `reader`, which reads values continuously, even while nobody takes them, and returns why they ended.
    pub(crate) fn read_by<F>(reader: impl FnOnce(ValueSender) -> F) -> Self
    where
        F: Future<Output = &'static str> + Send + 'static,
    {
        let (sender, values) = mpsc::channel(MAX_PENDING_VALUES);
        let (gone, lost) = (Arc::new(OnceLock::new()), Arc::new(AtomicU64::new(0)));
        let reading = reader(ValueSender { values: sender.clone(), lost: Arc::clone(&lost) });
        let gone_writer = Arc::clone(&gone);
        let reader = tokio::spawn(async move {
            let _ = gone_writer.set(reading.await);
            // Only now the values end: the reason is there when `next` asks for it.
            drop(sender);
        });
        Self { values, gone, lost, _reader: AbortOnDropHandle::new(reader) }
    }

    /// The next value, or the end. Cancel safe.
    pub async fn next(&mut self) -> DeviceEvent {
        match self.values.recv().await {
            Some((source, value)) => DeviceEvent::Value { source, value },
            None => DeviceEvent::Disconnected {
                reason: self.gone.get().copied().unwrap_or("its connection was given up"),
            },
        }
    }

    /// How many values were dropped because the queue was full.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }
}

/// Numbers the characteristics: their ids by their order, and those with one UUID by their instance.
pub(crate) fn number(characteristics: &mut [Characteristic]) {
    let mut seen: HashMap<Uuid, u8> = HashMap::new();
    for (position, characteristic) in characteristics.iter_mut().enumerate() {
        let count = seen.entry(characteristic.uuid).or_default();
        *count = count.saturating_add(1);
        (characteristic.instance, characteristic.id) = (*count, CharacteristicId(position));
    }
}

fn check_length(value: &[u8]) -> Result<(), GattError> {
    let bytes = value.len();
    if bytes > MAX_VALUE { Err(GattError::TooLong { bytes, limit: MAX_VALUE }) } else { Ok(()) }
}
