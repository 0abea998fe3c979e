//! The D-Bus signals about one device: notified values, connection state, and the end of the device or of bluetoothd.

use std::num::NonZeroUsize;

use futures_util::StreamExt as _;
use tokio::time::timeout;
use zbus::message::{Sequence, Type};
use zbus::{MatchRule, Message, MessageStream, OwnedObjectPath, match_rule};

use super::gatt::CHARACTERISTIC;
use super::{BluezAdapter, Changed, DEVICE, OBJECTS, PROPERTIES, bytes, dbus_error, flag};
use crate::error::{BluetoothError, CALL_TIMEOUT};
use crate::gatt::MAX_VALUE;

/// Signals waiting to be read. They must be read continuously: a full queue blocks the whole bus connection.
const SIGNAL_QUEUE: NonZeroUsize = NonZeroUsize::MIN.saturating_add(255);

#[derive(Debug)]
pub(super) enum DeviceSignal {
    /// Changed properties of the device; `None` if unchanged.
    Device {
        connected: Option<bool>,
        resolved: Option<bool>,
        at: Sequence,
    },
    Value {
        path: OwnedObjectPath,
        value: Vec<u8>,
        at: Sequence,
    },
    /// No further signal follows, for this reason.
    Gone(&'static str),
}

pub(super) struct DeviceSignals {
    properties: MessageStream,
    objects: MessageStream,
    owners: MessageStream,
    adapter: BluezAdapter,
    device: OwnedObjectPath,
}

impl DeviceSignals {
    pub(super) async fn subscribe(
        adapter: &BluezAdapter,
        device: &OwnedObjectPath,
    ) -> Result<Self, BluetoothError> {
        let signal = || MatchRule::builder().msg_type(Type::Signal);
        let of_bluez = || signal().sender(adapter.owner.to_owned());
        let properties =
            of_bluez().interface(PROPERTIES).member("PropertiesChanged").path_namespace(device.to_owned());
        let objects =
            of_bluez().interface(OBJECTS).member("InterfacesRemoved").arg_path(0, device.to_owned());
        let owners = signal()
            .sender("org.freedesktop.DBus")
            .member("NameOwnerChanged")
            .add_arg(adapter.owner.as_str().to_owned());
        Ok(Self {
            properties: stream(adapter, properties).await?,
            objects: stream(adapter, objects).await?,
            owners: stream(adapter, owners).await?,
            adapter: adapter.clone(),
            device: device.clone(),
        })
    }

    /// The next signal. Cancel safe.
    pub(super) async fn next(&mut self) -> DeviceSignal {
        loop {
            // Values sent before the end are read before it.
            let message = tokio::select! {
                biased;
                message = self.properties.next() => message,
                message = self.objects.next() => message,
                message = self.owners.next() => message,
            };
            let Some(Ok(message)) = message else {
                return DeviceSignal::Gone("the D-Bus connection has closed");
            };
            if let Some(change) = self.read(&message) {
                return change;
            }
        }
    }

    /// Runs `work` and reads signals meanwhile. Fails if the device is gone.
    pub(super) async fn run_until_gone<T>(
        &mut self,
        work: impl Future<Output = Result<T, BluetoothError>>,
    ) -> Result<Result<T, BluetoothError>, &'static str> {
        tokio::pin!(work);
        loop {
            tokio::select! {
                biased;
                done = &mut work => return Ok(done),
                change = self.next() => if let DeviceSignal::Gone(reason) = change {
                    return Err(reason);
                },
            }
        }
    }

    fn read(&self, message: &Message) -> Option<DeviceSignal> {
        let header = message.header();
        match header.member()?.as_str() {
            "NameOwnerChanged" => Some(DeviceSignal::Gone("bluetoothd has ended")),
            "InterfacesRemoved" => {
                let body = message.body();
                let (path, interfaces): (OwnedObjectPath, Vec<&str>) = body.deserialize().ok()?;
                let is_ours = path == self.device && interfaces.contains(&DEVICE);
                is_ours.then_some(DeviceSignal::Gone("bluetoothd has removed it"))
            }
            _ => self.changed(message),
        }
    }

    fn changed(&self, message: &Message) -> Option<DeviceSignal> {
        let header = message.header();
        // A bus may deliver more than was subscribed to.
        if header.sender() != Some(&self.adapter.owner) {
            return None;
        }
        let (path, body, at) = (header.path()?, message.body(), message.recv_position());
        let (interface, changed, _): Changed<'_> = body.deserialize().ok()?;
        match interface {
            DEVICE if path.as_str() == self.device.as_str() => {
                let (connected, resolved) = (flag(&changed, "Connected"), flag(&changed, "ServicesResolved"));
                let has_changed = connected.is_some() || resolved.is_some();
                has_changed.then_some(DeviceSignal::Device { connected, resolved, at })
            }
            CHARACTERISTIC => {
                let value = changed.get("Value").and_then(|value| bytes(value, MAX_VALUE))?;
                Some(DeviceSignal::Value { path: path.to_owned().into(), value, at })
            }
            _ => None,
        }
    }
}

async fn stream(
    adapter: &BluezAdapter,
    rule: match_rule::Builder<'static>,
) -> Result<MessageStream, BluetoothError> {
    const CALL: &str = "AddMatch";
    let rule = rule.build().map_err(|error| dbus_error(CALL, error))?;
    let stream = MessageStream::for_match_rule(rule, &adapter.connection, Some(SIGNAL_QUEUE));
    timeout(CALL_TIMEOUT, stream)
        .await
        .map_err(|_| BluetoothError::Timeout { call: CALL })?
        .map_err(|error| dbus_error(CALL, error))
}
