//! One session with bluetoothd: the devices it knows, and its signals in the order in which they were sent.

use std::collections::{HashMap, VecDeque};
use std::num::NonZeroUsize;
use std::time::Duration;

use futures_util::StreamExt as _;
use tokio::time::Instant;
use zbus::message::Type;
use zbus::{AsyncDrop as _, MatchRule, Message, MessageStream, ObjectPath, OwnedObjectPath};

use super::gatt::CHARACTERISTIC;
use super::known_device::KnownDevice;
use super::{
    ADAPTER, BLUEZ, BluezAdapter, Changed, DEVICE, OBJECTS, PROPERTIES, Properties, dbus_error, flag,
    is_below,
};
use crate::backend::{Adapter as _, SessionEvent};
use crate::error::BluetoothError;
use crate::scan_result::ScanResult;

/// Signals waiting to be read. When it is full, the bus keeps further ones.
const SIGNAL_QUEUE: NonZeroUsize = NonZeroUsize::MIN.saturating_add(1_023);
/// The most devices kept. bluetoothd forgets a device half a minute after its last advertisement.
const MAX_DEVICES: usize = 10_000;
/// The longest time between `DeviceFound` and the report of what has changed.
const REPORT_DELAY: Duration = Duration::from_millis(300);
/// The most devices waiting for such a report.
const MAX_PENDING: usize = 1_024;

pub(crate) struct BluezSession {
    adapter: BluezAdapter,
    signals: MessageStream,
    owners: MessageStream,
    devices: HashMap<OwnedObjectPath, KnownDevice>,
    /// Devices found by a passive scan, and the time after which their data counts as unchanged.
    pending: VecDeque<(Instant, OwnedObjectPath)>,
}

type Interfaces = HashMap<String, Properties>;

impl BluezSession {
    /// Opens a session, and returns the devices that bluetoothd has received recently.
    pub(crate) async fn start(adapter: BluezAdapter) -> Result<(Self, Vec<ScanResult>), BluetoothError> {
        let dbus_error = |source| dbus_error("AddMatch", source);
        let signals =
            MatchRule::builder().msg_type(Type::Signal).sender(BLUEZ).build().map_err(dbus_error)?;
        let owners = MatchRule::builder()
            .msg_type(Type::Signal)
            .sender("org.freedesktop.DBus")
            .member("NameOwnerChanged")
            .add_arg(BLUEZ)
            .build()
            .map_err(dbus_error)?;
        let signals = MessageStream::for_match_rule(signals, &adapter.connection, Some(SIGNAL_QUEUE));
        let owners = MessageStream::for_match_rule(owners, &adapter.connection, None);
        let (signals, owners) = (signals.await.map_err(dbus_error)?, owners.await.map_err(dbus_error)?);
        // bluetoothd may have restarted before the signal of its end was subscribed to.
        if !adapter.is_current().await? {
            return Err(BluetoothError::BluezStopped);
        }
        let mut session =
            Self { adapter, signals, owners, devices: HashMap::new(), pending: VecDeque::new() };
        let result = session.list_devices().await?;
        Ok((session, result))
    }

    async fn list_devices(&mut self) -> Result<Vec<ScanResult>, BluetoothError> {
        let objects = self.adapter.objects().await?;
        let mut results = Vec::new();
        for (path, interfaces) in &objects {
            let device = interfaces.get(DEVICE).filter(|_| is_below(path.as_str(), &self.adapter.path));
            let Some(properties) = device else { continue };
            // Devices that bluetoothd remembers but does not receive are not reported.
            if let (Some(result), true) = self.add_device(path.clone(), properties) {
                results.push(result);
            }
        }
        Ok(results)
    }

    /// The next event. Cancel safe.
    ///
    /// # Errors
    /// If the session is over.
    pub(crate) async fn next(&mut self) -> Result<SessionEvent, BluetoothError> {
        loop {
            let message = tokio::select! {
                biased;
                owner = self.owners.next() => match owner {
                    Some(_) => return Err(BluetoothError::BluezStopped),
                    None => return Err(BluetoothError::BusClosed),
                },
                signal = self.signals.next() => match signal {
                    Some(Ok(message)) => message,
                    _ => return Err(BluetoothError::BusClosed),
                },
            };
            if let Some(event) = self.read(&message)? {
                return Ok(event);
            }
        }
    }

    /// A passive scan has found a device. bluetoothd reports only changes: if it reports none, the device has repeated its
    /// data.
    pub(crate) fn device_found(&mut self, path: OwnedObjectPath, now: Instant) {
        let reported_at = self.devices.get(&path).and_then(|device| device.reported_at);
        let is_reported = reported_at.is_some_and(|at| now < at + REPORT_DELAY);
        let is_pending = || self.pending.iter().any(|(_, known)| *known == path);
        if !is_reported && self.pending.len() < MAX_PENDING && !is_pending() {
            self.pending.push_back((now + REPORT_DELAY, path));
        }
    }

    /// When [`Self::take_repeat`] has something to return.
    pub(crate) fn next_repeat_due(&self) -> Option<Instant> {
        self.pending.front().map(|(due, _)| *due)
    }

    /// The scan result of a device that has repeated its data.
    pub(crate) fn take_repeat(&mut self, now: Instant) -> Option<ScanResult> {
        while self.next_repeat_due().is_some_and(|due| due <= now)
            && let Some((due, path)) = self.pending.pop_front()
        {
            let device = self.devices.get(&path);
            let is_reported =
                device.and_then(|device| device.reported_at).is_some_and(|at| due - REPORT_DELAY <= at);
            let repeat = device.filter(|_| !is_reported).and_then(KnownDevice::last_result);
            if repeat.is_some() {
                return repeat;
            }
        }
        None
    }

    /// Unsubscribes from the signals.
    pub(crate) async fn close(self) {
        self.signals.async_drop().await;
        self.owners.async_drop().await;
    }

    fn read(&mut self, message: &Message) -> Result<Option<SessionEvent>, BluetoothError> {
        let header = message.header();
        if header.sender() != Some(&self.adapter.owner) {
            return Ok(None);
        }
        let (interface, member) = (header.interface(), header.member());
        let (Some(interface), Some(member), Some(path)) = (interface, member, header.path()) else {
            return Ok(None);
        };
        match (interface.as_str(), member.as_str()) {
            (PROPERTIES, "PropertiesChanged") => Ok(self.changed(path.as_str(), message)),
            (OBJECTS, "InterfacesAdded") => Ok(self.added(message)),
            (OBJECTS, "InterfacesRemoved") => self.removed(message),
            _ => Ok(None),
        }
    }

    fn changed(&mut self, path: &str, message: &Message) -> Option<SessionEvent> {
        let is_adapter = path == self.adapter.path.as_str();
        if !is_adapter && !is_below(path, &self.adapter.path) {
            return None;
        }
        let body = message.body();
        let (interface, changed, invalidated): Changed<'_> = body.deserialize().ok()?;
        if is_adapter && interface == ADAPTER {
            return match (flag(&changed, "Powered"), flag(&changed, "Discovering")) {
                (Some(true), _) => Some(SessionEvent::Changed),
                (Some(false), _) | (None, Some(false)) => Some(SessionEvent::Stopped),
                (None, _) => None,
            };
        }
        if interface == CHARACTERISTIC {
            return changed.contains_key("Value").then_some(SessionEvent::Notification);
        }
        if interface != DEVICE {
            return None;
        }
        let path = ObjectPath::try_from(path).ok()?;
        let device = self.devices.get_mut(&path)?;
        device.invalidated(&invalidated);
        // Other properties also change when a device connects or a scan ends.
        let is_near = changed.contains_key("RSSI").then_some(SessionEvent::Presence);
        let result = device.update(&changed).map(SessionEvent::ScanResult);
        if result.is_some() {
            device.reported_at = Some(Instant::now());
        }
        result.or(is_near)
    }

    fn added(&mut self, message: &Message) -> Option<SessionEvent> {
        let body = message.body();
        let (path, mut interfaces): (OwnedObjectPath, Interfaces) = body.deserialize().ok()?;
        let properties = interfaces.remove(DEVICE).filter(|_| is_below(path.as_str(), &self.adapter.path))?;
        let (result, _) = self.add_device(path, &properties);
        Some(result.map_or(SessionEvent::Presence, SessionEvent::ScanResult))
    }

    fn removed(&mut self, message: &Message) -> Result<Option<SessionEvent>, BluetoothError> {
        let body = message.body();
        let Ok((path, interfaces)) = body.deserialize::<(OwnedObjectPath, Vec<String>)>() else {
            return Ok(None);
        };
        if path == self.adapter.path && interfaces.iter().any(|name| name == ADAPTER) {
            return Err(BluetoothError::Unplugged { adapter: self.adapter.name().to_owned() });
        }
        if interfaces.iter().any(|name| name == DEVICE) {
            self.devices.remove(&path);
        }
        Ok(None)
    }

    /// Adds a new device. BlueZ reports what it knows at discovery by no other signal.
    fn add_device(&mut self, path: OwnedObjectPath, properties: &Properties) -> (Option<ScanResult>, bool) {
        let Some(mut device) = KnownDevice::new(properties) else { return (None, false) };
        let (result, is_near) = (device.update(properties), device.is_near());
        device.reported_at = result.is_some().then(Instant::now);
        if self.devices.len() < MAX_DEVICES || self.devices.contains_key(&path) {
            self.devices.insert(path, device);
        }
        (result, is_near)
    }
}
