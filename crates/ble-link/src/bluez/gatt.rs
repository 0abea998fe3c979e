//! A connected device: reads, writes and subscribes to its characteristics.
//!
//! Every call ends within [`DEVICE_TIMEOUT`], or twice that. A device that hangs does not delay other devices. A connection
//! attempt that is dropped is disconnected. Each value is reported once: by [`Notifications`] if the characteristic is
//! subscribed to, by [`Peripheral::read`] if it is read.
//!
//! Source: BlueZ, doc/org.bluez.Device.rst and doc/org.bluez.GattCharacteristic.rst.

mod error;
mod signals;

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use serde::Serialize;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};
use tokio_util::task::AbortOnDropHandle;
use zbus::fdo::ManagedObjects;
use zbus::message::Sequence;
use zbus::{Array, DynamicType, Message, OwnedObjectPath, Variant};

pub use error::GattError;

use crate::bluez::{
    BluetoothAdapter, BluetoothError, CALL_TIMEOUT, DEVICE, Properties, flag, is_below, text,
};
use crate::uuid::Uuid;
use signals::{DeviceSignal, DeviceSignals};

pub(crate) const CHARACTERISTIC: &str = "org.bluez.GattCharacteristic1";
const SERVICE: &str = "org.bluez.GattService1";

/// How long a device may take to connect, to list its services or to answer: the transaction time-out of ATT (Core
/// Specification, vol. 3, part F, 3.3.3).
pub const DEVICE_TIMEOUT: Duration = Duration::from_secs(30);
/// The longest value of a characteristic (Core Specification, vol. 3, part F, 3.2.9).
pub const MAX_VALUE: usize = 512;
/// Notifications that wait to be read. Further ones are dropped and counted.
const MAX_PENDING_VALUES: usize = 64;
/// The most characteristics of a device that are used; further ones are ignored.
const MAX_CHARACTERISTICS: usize = 256;

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
    write_type: Option<WriteType>,
    path: OwnedObjectPath,
}

impl Characteristic {
    #[must_use]
    pub const fn is_writable(&self) -> bool {
        self.write_type.is_some()
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum WriteType {
    /// The device confirms the write.
    WithResponse,
    /// The device does not confirm the write.
    WithoutResponse,
}

/// A connected device. Dropping it disconnects the device; [`Self::close`] waits until that is done.
#[derive(Debug)]
pub struct Peripheral {
    address: String,
    characteristics: Vec<Characteristic>,
    /// The position in the message stream at which each characteristic was subscribed to. Earlier values are ignored.
    subscribed_at: Arc<HashMap<OwnedObjectPath, OnceLock<Sequence>>>,
    connection: ConnectionGuard,
}

/// The notifications and indications of a connected device.
#[derive(Debug)]
pub struct Notifications {
    values: mpsc::Receiver<(OwnedObjectPath, Vec<u8>)>,
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

/// Identifies the characteristic of a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CharacteristicId(OwnedObjectPath);

impl Peripheral {
    /// Connects to the device and discovers its characteristics. `address` may be in upper or lower case.
    ///
    /// # Errors
    /// If bluetoothd does not know the device, or the device is out of reach or does not answer.
    pub async fn connect(
        adapter: &BluetoothAdapter,
        address: &str,
    ) -> Result<(Self, Notifications), GattError> {
        let address = address.to_ascii_uppercase();
        let device = find(&adapter.objects().await?, adapter, &address)?;
        let mut signals = DeviceSignals::subscribe(adapter, &device).await?;
        let connection = ConnectionGuard { adapter: adapter.clone(), device, is_open: true };
        let device = &connection.device;
        let gone = |reason| GattError::Disconnected { address: address.clone(), reason };
        let connecting = adapter.call(device, DEVICE, "Connect", &(), DEVICE_TIMEOUT);
        signals
            .run_until_gone(connecting)
            .await
            .map_err(gone)?
            .map_err(|error| error::connect_error(&address, error))?;
        wait_for_services(adapter, device, &mut signals, &address).await?;
        let objects = signals.run_until_gone(adapter.objects()).await.map_err(gone)??;
        let characteristics = characteristics(&objects, device);
        let paths = characteristics.iter().map(|characteristic| characteristic.path.clone());
        let subscribed_at = Arc::new(paths.map(|path| (path, OnceLock::new())).collect());
        let values = Notifications::read_from(signals, Arc::clone(&subscribed_at));
        Ok((Self { address, characteristics, subscribed_at, connection }, values))
    }

    /// In the order of their handles.
    #[must_use]
    pub fn characteristics(&self) -> &[Characteristic] {
        &self.characteristics
    }

    #[must_use]
    pub fn characteristic(&self, id: &CharacteristicId) -> Option<&Characteristic> {
        self.characteristics.iter().find(|characteristic| characteristic.path == id.0)
    }

    /// Reads a value.
    ///
    /// # Errors
    /// If the device does not answer, does not permit it, or has disconnected.
    pub async fn read(&self, characteristic: &Characteristic) -> Result<Vec<u8>, GattError> {
        let options: HashMap<&str, Variant<'_>> = HashMap::new();
        let message = self.call(characteristic, "ReadValue", &(options,)).await?;
        let body = message.body();
        let value: Vec<u8> = body.deserialize().map_err(|source| dbus_error("ReadValue", source))?;
        check_length(&value)?;
        Ok(value)
    }

    /// Writes a value: with response if the characteristic supports that, otherwise without response.
    ///
    /// # Errors
    /// If it cannot be written, or as [`Self::read`].
    pub async fn write(&self, characteristic: &Characteristic, value: &[u8]) -> Result<(), GattError> {
        check_length(value)?;
        let kind = match characteristic.write_type {
            Some(WriteType::WithResponse) => "request",
            Some(WriteType::WithoutResponse) => "command",
            None => {
                let (uuid, reason) = (characteristic.uuid, "it cannot be written".to_owned());
                return Err(GattError::NotPermitted { uuid, call: "WriteValue", reason });
            }
        };
        let options = HashMap::from([("type", Variant::from(kind))]);
        self.call(characteristic, "WriteValue", &(value, options)).await.map(drop)
    }

    /// Enables notifications or indications. They arrive through [`Notifications::next`].
    ///
    /// # Errors
    /// As [`Self::read`].
    pub async fn subscribe(&self, characteristic: &Characteristic) -> Result<(), GattError> {
        let answer = self.call(characteristic, "StartNotify", &()).await?;
        if let Some(subscribed_at) = self.subscribed_at.get(&characteristic.path) {
            // If it was subscribed to before, the earlier position stays.
            let _ = subscribed_at.set(answer.recv_position());
        }
        Ok(())
    }

    /// Disconnects and waits for that, at most for [`CALL_TIMEOUT`].
    pub async fn close(mut self) {
        self.connection.is_open = false;
        self.connection.disconnect().await;
    }

    async fn call<B: Serialize + DynamicType>(
        &self,
        characteristic: &Characteristic,
        method: &'static str,
        body: &B,
    ) -> Result<Message, GattError> {
        let ConnectionGuard { adapter, .. } = &self.connection;
        let answer = adapter.call(&characteristic.path, CHARACTERISTIC, method, body, DEVICE_TIMEOUT).await;
        answer.map_err(|error| error::characteristic_error(&self.address, characteristic.uuid, method, error))
    }
}

impl Notifications {
    /// Reads signals continuously, even while nobody takes the values: a full queue would block the bus connection.
    fn read_from(
        mut signals: DeviceSignals,
        subscribed_at: Arc<HashMap<OwnedObjectPath, OnceLock<Sequence>>>,
    ) -> Self {
        let (sender, values) = mpsc::channel(MAX_PENDING_VALUES);
        let (gone, lost) = (Arc::new(OnceLock::new()), Arc::new(AtomicU64::new(0)));
        let (gone_writer, lost_writer) = (Arc::clone(&gone), Arc::clone(&lost));
        let reader = tokio::spawn(async move {
            let reason = loop {
                match signals.next().await {
                    DeviceSignal::Gone(reason) => break reason,
                    DeviceSignal::Device { connected: Some(false), .. } => break "it has disconnected",
                    DeviceSignal::Device { .. } => {}
                    DeviceSignal::Value { path, value, at } => {
                        // Values before the subscription were returned by a read.
                        let is_subscribed = subscribed_at
                            .get(&path)
                            .and_then(OnceLock::get)
                            .is_some_and(|subscribed_at| *subscribed_at < at);
                        if is_subscribed && sender.try_send((path, value)).is_err() {
                            lost_writer.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                }
            };
            let _ = gone_writer.set(reason);
        });
        Self { values, gone, lost, _reader: AbortOnDropHandle::new(reader) }
    }

    /// The next value, or the end. Cancel safe.
    pub async fn next(&mut self) -> DeviceEvent {
        match self.values.recv().await {
            Some((path, value)) => DeviceEvent::Value { source: CharacteristicId(path), value },
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

/// A device that bluetoothd connected at our request. Disconnects when it is dropped.
#[derive(Debug)]
struct ConnectionGuard {
    adapter: BluetoothAdapter,
    device: OwnedObjectPath,
    is_open: bool,
}

impl ConnectionGuard {
    /// Ends the connection or the connection attempt. A failure means that there is none.
    async fn disconnect(&self) {
        let _ = self.adapter.call(&self.device, DEVICE, "Disconnect", &(), CALL_TIMEOUT).await;
    }
}

impl Drop for ConnectionGuard {
    fn drop(&mut self) {
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        if std::mem::take(&mut self.is_open) {
            let closing = Self { adapter: self.adapter.clone(), device: self.device.clone(), is_open: false };
            runtime.spawn(async move { closing.disconnect().await });
        }
    }
}

/// Finds the object of the device below the adapter.
fn find(
    objects: &ManagedObjects,
    adapter: &BluetoothAdapter,
    address: &str,
) -> Result<OwnedObjectPath, GattError> {
    let devices = objects.iter().filter(|(path, _)| is_below(path.as_str(), &adapter.path));
    let mut devices = devices.filter_map(|(path, interfaces)| Some((path, interfaces.get(DEVICE)?)));
    let is_it = |properties: &Properties| {
        text(properties, "Address").is_some_and(|found| found.eq_ignore_ascii_case(address))
    };
    let found = devices.find(|(_, properties)| is_it(properties)).map(|(path, _)| path.clone());
    found.ok_or_else(|| GattError::NotDiscovered { address: address.to_owned() })
}

/// Waits until bluetoothd has discovered the services of the device.
async fn wait_for_services(
    adapter: &BluetoothAdapter,
    device: &OwnedObjectPath,
    signals: &mut DeviceSignals,
    address: &str,
) -> Result<(), GattError> {
    let gone = |reason| GattError::Disconnected { address: address.to_owned(), reason };
    let due = Instant::now() + DEVICE_TIMEOUT;
    let answer = adapter.call(device, crate::bluez::PROPERTIES, "GetAll", &(DEVICE,), CALL_TIMEOUT);
    let answer = signals.run_until_gone(answer).await.map_err(gone)??;
    let body = answer.body();
    let properties: Properties = body.deserialize().map_err(|source| dbus_error("GetAll", source))?;
    if flag(&properties, "Connected") == Some(false) {
        return Err(gone("it has disconnected"));
    }
    let mut resolved = flag(&properties, "ServicesResolved") == Some(true);
    while !resolved {
        let change = timeout_at(due, signals.next()).await;
        match change.map_err(|_| GattError::NoServices { address: address.to_owned() })? {
            DeviceSignal::Gone(reason) => return Err(gone(reason)),
            // Sent before the answer, so about the previous connection.
            DeviceSignal::Device { at, .. } if at < answer.recv_position() => {}
            DeviceSignal::Device { connected: Some(false), .. } => return Err(gone("it has disconnected")),
            DeviceSignal::Device { resolved: Some(true), .. } => resolved = true,
            DeviceSignal::Device { .. } | DeviceSignal::Value { .. } => {}
        }
    }
    Ok(())
}

fn characteristics(objects: &ManagedObjects, device: &OwnedObjectPath) -> Vec<Characteristic> {
    let below = objects.iter().filter(|(path, _)| is_below(path.as_str(), device));
    let found = below.filter_map(|(path, interfaces)| {
        let properties = interfaces.get(CHARACTERISTIC)?;
        let service = properties.get("Service")?.downcast_ref::<&zbus::ObjectPath<'_>>().ok()?;
        let service = text(objects.get(service)?.get(SERVICE)?, "UUID")?.parse().ok()?;
        characteristic(path, properties, service)
    });
    let mut found: Vec<_> = found.take(MAX_CHARACTERISTICS).collect();
    // Paths end in service000a/char000b: handles in hexadecimal digits of equal length, so text order is handle order.
    found.sort_unstable_by(|a, b| a.path.as_str().cmp(b.path.as_str()));
    let mut seen: HashMap<Uuid, u8> = HashMap::new();
    for characteristic in &mut found {
        let count = seen.entry(characteristic.uuid).or_default();
        *count = count.saturating_add(1);
        characteristic.instance = *count;
    }
    found
}

fn characteristic(path: &OwnedObjectPath, properties: &Properties, service: Uuid) -> Option<Characteristic> {
    let flags = properties.get("Flags").and_then(|flags| flags.downcast_ref::<&Array<'_>>().ok());
    let has = |wanted: &str| {
        flags.is_some_and(|flags| flags.iter().any(|flag| flag.downcast_ref::<&str>() == Ok(wanted)))
    };
    let write_type = match (has("write"), has("write-without-response")) {
        (true, _) => Some(WriteType::WithResponse),
        (false, true) => Some(WriteType::WithoutResponse),
        (false, false) => None,
    };
    Some(Characteristic {
        uuid: text(properties, "UUID")?.parse().ok()?,
        service,
        instance: 1,
        can_read: has("read"),
        can_notify: has("notify") || has("indicate"),
        write_type,
        path: path.clone(),
    })
}

fn check_length(value: &[u8]) -> Result<(), GattError> {
    let bytes = value.len();
    if bytes > MAX_VALUE { Err(GattError::TooLong { bytes, limit: MAX_VALUE }) } else { Ok(()) }
}

fn dbus_error(call: &'static str, source: zbus::Error) -> BluetoothError {
    BluetoothError::DBus { call, source }
}

#[cfg(test)]
mod tests;
