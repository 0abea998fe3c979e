//! A device that bluetoothd connected.
//!
//! Source: BlueZ, doc/org.bluez.Device.rst and doc/org.bluez.GattCharacteristic.rst.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use serde::Serialize;
use tokio::time::{Instant, timeout_at};
use zbus::fdo::ManagedObjects;
use zbus::message::Sequence;
use zbus::{Array, DynamicType, Message, OwnedObjectPath, Variant};

use super::signals::{DeviceSignal, DeviceSignals};
use super::{BluezAdapter, DEVICE, PROPERTIES, Properties, dbus_error, flag, is_below, text};
use crate::backend::{Connected, Device};
use crate::connection_guard::{ConnectionGuard, Disconnect};
use crate::error::CALL_TIMEOUT;
use crate::gatt::{
    Characteristic, CharacteristicId, DEVICE_TIMEOUT, GattError, MAX_CHARACTERISTICS, Notifications,
    ValueSender, WriteType, characteristic_error, connect_error, number,
};
use crate::uuid::Uuid;

pub(super) const CHARACTERISTIC: &str = "org.bluez.GattCharacteristic1";
const SERVICE: &str = "org.bluez.GattService1";

/// A characteristic's object.
#[derive(Debug)]
struct Handle {
    path: OwnedObjectPath,
    uuid: Uuid,
    can_notify: bool,
    counted: Mutex<Counted>,
}

/// Which of the signalled values are notifications. BlueZ signals values that were read, too: before the answer to the
/// read (it sends pending signals before each message). And it subscribes again by itself when a device is connected
/// again, so that notifications may come before `StartNotify`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Counted {
    /// It was neither read nor subscribed to.
    None,
    /// Those after this position of the message stream.
    After(Sequence),
    All,
    /// The subscription was refused, so it is read again and again.
    Never,
}

impl Handle {
    fn new(path: OwnedObjectPath, characteristic: &Characteristic) -> Self {
        let Characteristic { uuid, can_notify, .. } = *characteristic;
        Self { path, uuid, can_notify, counted: Mutex::new(Counted::None) }
    }

    fn counts(&self, at: Sequence) -> bool {
        match *self.counted.lock().unwrap_or_else(PoisonError::into_inner) {
            Counted::None | Counted::Never => false,
            Counted::After(position) => position < at,
            Counted::All => true,
        }
    }

    /// Sets it, if nothing was set before.
    fn begin(&self, counted: Counted) {
        let mut current = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        if *current == Counted::None {
            *current = counted;
        }
    }

    fn refuse(&self) {
        *self.counted.lock().unwrap_or_else(PoisonError::into_inner) = Counted::Never;
    }
}

#[derive(Debug)]
struct BluezDevice {
    address: String,
    /// By the ids of the characteristics.
    handles: Arc<[Handle]>,
    guard: ConnectionGuard<Connection>,
}

pub(super) async fn connect(adapter: &BluezAdapter, address: &str) -> Result<Connected, GattError> {
    let device = find(&adapter.objects().await?, adapter, address)?;
    let mut signals = DeviceSignals::subscribe(adapter, &device).await?;
    let guard = ConnectionGuard::new(Connection { adapter: adapter.clone(), device });
    let device = &guard.connection.device;
    let gone = |reason| GattError::Disconnected { address: address.to_owned(), reason };
    let connecting = adapter.call(device, DEVICE, "Connect", &(), DEVICE_TIMEOUT);
    signals.run_until_gone(connecting).await.map_err(gone)?.map_err(|error| connect_error(address, error))?;
    wait_for_services(adapter, device, &mut signals, address).await?;
    let objects = signals.run_until_gone(adapter.objects()).await.map_err(gone)??;
    let (characteristics, handles) = characteristics(&objects, device);
    let device = BluezDevice { address: address.to_owned(), handles: handles.into(), guard };
    let handles = Arc::clone(&device.handles);
    let notifications = Notifications::read_by(|values| read_values(signals, handles, values));
    Ok(Connected { device: Box::new(device), characteristics, notifications })
}

/// Reads signals until the device is gone: a full queue would block the bus connection.
async fn read_values(
    mut signals: DeviceSignals,
    handles: Arc<[Handle]>,
    values: ValueSender,
) -> &'static str {
    loop {
        match signals.next().await {
            DeviceSignal::Gone(reason) => return reason,
            DeviceSignal::Device { connected: Some(false), .. } => return "it has disconnected",
            DeviceSignal::Device { .. } => {}
            DeviceSignal::Value { path, value, at } => {
                let found = handles.iter().position(|handle| handle.path == path);
                if let Some(id) = found.filter(|id| handles.get(*id).is_some_and(|handle| handle.counts(at)))
                {
                    values.send(CharacteristicId(id), value);
                }
            }
        }
    }
}

#[async_trait]
impl Device for BluezDevice {
    async fn read(&self, characteristic: CharacteristicId) -> Result<Vec<u8>, GattError> {
        let options: HashMap<&str, Variant<'_>> = HashMap::new();
        let message = self.call(characteristic, "ReadValue", &(options,)).await?;
        if let Some(handle) = self.handles.get(characteristic.0).filter(|handle| handle.can_notify) {
            handle.begin(Counted::After(message.recv_position()));
        }
        message.body().deserialize().map_err(|source| dbus_error("ReadValue", source).into())
    }

    async fn write(
        &self,
        characteristic: CharacteristicId,
        value: &[u8],
        with_response: bool,
    ) -> Result<(), GattError> {
        let options =
            HashMap::from([("type", Variant::from(if with_response { "request" } else { "command" }))]);
        self.call(characteristic, "WriteValue", &(value, options)).await.map(drop)
    }

    async fn subscribe(&self, characteristic: CharacteristicId) -> Result<(), GattError> {
        let handle = self.handles.get(characteristic.0);
        // Before the call: its answer may be handled later than the first value.
        handle.inspect(|handle| handle.begin(Counted::All));
        let answer = self.call(characteristic, "StartNotify", &()).await;
        if answer.is_err() {
            handle.inspect(|handle| handle.refuse());
        }
        answer.map(drop)
    }

    async fn close(self: Box<Self>) {
        self.guard.close().await;
    }
}

impl BluezDevice {
    async fn call<B: Serialize + DynamicType + Sync>(
        &self,
        characteristic: CharacteristicId,
        method: &'static str,
        body: &B,
    ) -> Result<Message, GattError> {
        let gone = || GattError::no_characteristic(&self.address);
        let Handle { path, uuid, .. } = self.handles.get(characteristic.0).ok_or_else(gone)?;
        let adapter = &self.guard.connection.adapter;
        let answer = adapter.call(path, CHARACTERISTIC, method, body, DEVICE_TIMEOUT).await;
        answer.map_err(|error| characteristic_error(&self.address, *uuid, method, error))
    }
}

/// A device's object and the way to it.
#[derive(Debug, Clone)]
struct Connection {
    adapter: BluezAdapter,
    device: OwnedObjectPath,
}

impl Disconnect for Connection {
    async fn disconnect(&self) {
        let _ = self.adapter.call(&self.device, DEVICE, "Disconnect", &(), CALL_TIMEOUT).await;
    }
}

/// Finds the object of the device below the adapter.
fn find(
    objects: &ManagedObjects,
    adapter: &BluezAdapter,
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
    adapter: &BluezAdapter,
    device: &OwnedObjectPath,
    signals: &mut DeviceSignals,
    address: &str,
) -> Result<(), GattError> {
    let gone = |reason| GattError::Disconnected { address: address.to_owned(), reason };
    let due = Instant::now() + DEVICE_TIMEOUT;
    let answer = adapter.call(device, PROPERTIES, "GetAll", &(DEVICE,), CALL_TIMEOUT);
    let answer = signals.run_until_gone(answer).await.map_err(gone)??;
    let body = answer.body();
    let properties: Properties = body.deserialize().map_err(|source| dbus_error("GetAll", source))?;
    if flag(&properties, "Connected") == Some(false) {
        return Err(GattError::disconnected(address));
    }
    let mut resolved = flag(&properties, "ServicesResolved") == Some(true);
    while !resolved {
        let change = timeout_at(due, signals.next()).await;
        match change.map_err(|_| GattError::NoServices { address: address.to_owned() })? {
            DeviceSignal::Gone(reason) => return Err(gone(reason)),
            // Sent before the answer, so about the previous connection.
            DeviceSignal::Device { at, .. } if at < answer.recv_position() => {}
            DeviceSignal::Device { connected: Some(false), .. } => {
                return Err(GattError::disconnected(address));
            }
            DeviceSignal::Device { resolved: Some(true), .. } => resolved = true,
            DeviceSignal::Device { .. } | DeviceSignal::Value { .. } => {}
        }
    }
    Ok(())
}

/// In the order of their handles.
fn characteristics(objects: &ManagedObjects, device: &OwnedObjectPath) -> (Vec<Characteristic>, Vec<Handle>) {
    let below = objects.iter().filter(|(path, _)| is_below(path.as_str(), device));
    let found = below.filter_map(|(path, interfaces)| {
        let properties = interfaces.get(CHARACTERISTIC)?;
        let service = properties.get("Service")?.downcast_ref::<&zbus::ObjectPath<'_>>().ok()?;
        let service = text(objects.get(service)?.get(SERVICE)?, "UUID")?.parse().ok()?;
        Some((path, characteristic(properties, service)?))
    });
    let mut found: Vec<_> = found.take(MAX_CHARACTERISTICS).collect();
    // Paths end in service000a/char000b: handles in hexadecimal digits of equal length, so text order is handle order.
    found.sort_unstable_by(|(a, _), (b, _)| a.as_str().cmp(b.as_str()));
    let handle = |(path, characteristic): (&OwnedObjectPath, Characteristic)| {
        let handle = Handle::new(path.clone(), &characteristic);
        (characteristic, handle)
    };
    let (mut characteristics, handles): (Vec<_>, Vec<_>) = found.into_iter().map(handle).unzip();
    number(&mut characteristics);
    (characteristics, handles)
}

fn characteristic(properties: &Properties, service: Uuid) -> Option<Characteristic> {
    let flags = properties.get("Flags").and_then(|flags| flags.downcast_ref::<&Array<'_>>().ok());
    let has = |wanted: &str| {
        flags.is_some_and(|flags| flags.iter().any(|flag| flag.downcast_ref::<&str>() == Ok(wanted)))
    };
    Some(Characteristic {
        uuid: text(properties, "UUID")?.parse().ok()?,
        service,
        instance: 1,
        can_read: has("read"),
        can_notify: has("notify") || has("indicate"),
        write_type: WriteType::new(has("write"), has("write-without-response")),
        id: CharacteristicId(0),
    })
}

#[cfg(test)]
mod tests;
