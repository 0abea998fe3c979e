//! A device that was connected through btleplug.
//!
//! The library does not report the end of a connection without a stream of all advertisements, so it is asked for now and
//! then. Of two characteristics with one UUID in a service it knows one.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use btleplug::api::{self, CharPropFlags, Peripheral as _, ValueNotification};
use btleplug::platform::Peripheral;
use futures_util::{Stream, StreamExt as _};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{interval, timeout};

use super::{BtleplugAdapter, address, limited, within};
use crate::backend::{Connected, Device};
use crate::connection_guard::{ConnectionGuard, Disconnect};
use crate::error::CALL_TIMEOUT;
use crate::gatt::{
    Characteristic, CharacteristicId, DEVICE_TIMEOUT, GattError, MAX_CHARACTERISTICS, MAX_VALUE,
    Notifications, ValueSender, WriteType, characteristic_error, connect_error, number,
};
use crate::uuid::Uuid;

/// How often a device is asked whether it is still connected.
const CHECK_EVERY: Duration = Duration::from_secs(2);

type Values = Pin<Box<dyn Stream<Item = ValueNotification> + Send>>;

#[derive(Debug)]
struct BtleplugDevice {
    address: String,
    /// By their ids.
    characteristics: Arc<[api::Characteristic]>,
    subscriptions: mpsc::Sender<Subscription>,
    guard: ConnectionGuard<Peripheral>,
}

/// Values of this characteristic are notifications from now on, or no longer. `done` is answered when that holds.
#[derive(Debug)]
struct Subscription {
    characteristic: CharacteristicId,
    is_on: bool,
    done: oneshot::Sender<()>,
}

pub(super) async fn connect(adapter: &BtleplugAdapter, wanted: &str) -> Result<Connected, GattError> {
    use btleplug::api::Central as _;
    let known = limited("the list of devices", adapter.central.peripherals()).await?;
    let found = known.into_iter().find(|peripheral| address(peripheral) == wanted);
    let peripheral = found.ok_or_else(|| GattError::NotDiscovered { address: wanted.to_owned() })?;
    let guard = ConnectionGuard::new(peripheral);
    let peripheral = &guard.connection;
    within(DEVICE_TIMEOUT, "Connect", peripheral.connect())
        .await
        .map_err(|error| connect_error(wanted, error))?;
    let no_services = |_| GattError::NoServices { address: wanted.to_owned() };
    within(DEVICE_TIMEOUT, "the list of services", peripheral.discover_services())
        .await
        .map_err(no_services)?;
    let values = limited("AddMatch", peripheral.notifications()).await?;
    let found = peripheral.characteristics().into_iter().take(MAX_CHARACTERISTICS);
    let (mut characteristics, own): (Vec<_>, Vec<_>) = found.map(|own| (characteristic(&own), own)).unzip();
    number(&mut characteristics);
    let own: Arc<[_]> = own.into();
    let (subscriptions, changes) = mpsc::channel(1);
    let reader = ValueReader {
        peripheral: peripheral.clone(),
        values,
        is_subscribed: vec![false; own.len()],
        characteristics: Arc::clone(&own),
        changes,
    };
    let notifications = Notifications::read_by(|sender| reader.run(sender));
    let device = BtleplugDevice { address: wanted.to_owned(), characteristics: own, subscriptions, guard };
    Ok(Connected { device: Box::new(device), characteristics, notifications })
}

/// The task that reads the values of a device.
struct ValueReader {
    peripheral: Peripheral,
    values: Values,
    characteristics: Arc<[api::Characteristic]>,
    /// By the ids of the characteristics.
    is_subscribed: Vec<bool>,
    changes: mpsc::Receiver<Subscription>,
}

impl ValueReader {
    async fn run(mut self, sender: ValueSender) -> &'static str {
        let mut check = interval(CHECK_EVERY);
        loop {
            tokio::select! {
                // A value that was read comes here too. All such values are taken before a subscription begins.
                biased;
                value = self.values.next() => match value {
                    Some(value) => self.take(value, &sender),
                    None => return "the D-Bus connection has closed",
                },
                Some(change) = self.changes.recv() => {
                    let Subscription { characteristic, is_on, done } = change;
                    if let Some(is_subscribed) = self.is_subscribed.get_mut(characteristic.0) {
                        *is_subscribed = is_on;
                    }
                    let _ = done.send(());
                }
                _ = check.tick() => match timeout(CALL_TIMEOUT, self.peripheral.is_connected()).await {
                    Ok(Ok(true)) => {}
                    Ok(Ok(false)) => return "it has disconnected",
                    Ok(Err(_)) => return "the system no longer knows it",
                    Err(_) => return "bluetoothd does not answer",
                },
            }
        }
    }

    fn take(&self, notified: ValueNotification, sender: &ValueSender) {
        let ValueNotification { uuid, service_uuid, value } = notified;
        let is_it = |own: &api::Characteristic| own.uuid == uuid && own.service_uuid == service_uuid;
        let Some(id) = self.characteristics.iter().position(is_it) else { return };
        if self.is_subscribed.get(id) == Some(&true) && value.len() <= MAX_VALUE {
            sender.send(CharacteristicId(id), value);
        }
    }
}

#[async_trait]
impl Device for BtleplugDevice {
    async fn read(&self, characteristic: CharacteristicId) -> Result<Vec<u8>, GattError> {
        let own = self.own(characteristic)?;
        self.call("ReadValue", own, self.guard.connection.read(own)).await
    }

    async fn write(
        &self,
        characteristic: CharacteristicId,
        value: &[u8],
        with_response: bool,
    ) -> Result<(), GattError> {
        let own = self.own(characteristic)?;
        let write_type =
            if with_response { api::WriteType::WithResponse } else { api::WriteType::WithoutResponse };
        self.call("WriteValue", own, self.guard.connection.write(own, value, write_type)).await
    }

    async fn subscribe(&self, characteristic: CharacteristicId) -> Result<(), GattError> {
        let own = self.own(characteristic)?;
        self.set_subscribed(characteristic, true).await;
        let subscribed = self.call("StartNotify", own, self.guard.connection.subscribe(own)).await;
        if subscribed.is_err() {
            self.set_subscribed(characteristic, false).await;
        }
        subscribed
    }

    async fn close(self: Box<Self>) {
        self.guard.close().await;
    }
}

impl BtleplugDevice {
    fn own(&self, characteristic: CharacteristicId) -> Result<&api::Characteristic, GattError> {
        let gone = || GattError::no_characteristic(&self.address);
        self.characteristics.get(characteristic.0).ok_or_else(gone)
    }

    async fn call<T>(
        &self,
        call: &'static str,
        own: &api::Characteristic,
        calling: impl Future<Output = btleplug::Result<T>>,
    ) -> Result<T, GattError> {
        let uuid = Uuid::from_bits(own.uuid.as_u128());
        within(DEVICE_TIMEOUT, call, calling)
            .await
            .map_err(|error| characteristic_error(&self.address, uuid, call, error))
    }

    /// If the reader has ended, the device is gone.
    async fn set_subscribed(&self, characteristic: CharacteristicId, is_on: bool) {
        let (done, is_done) = oneshot::channel();
        if self.subscriptions.send(Subscription { characteristic, is_on, done }).await.is_ok() {
            let _ = is_done.await;
        }
    }
}

impl Disconnect for Peripheral {
    async fn disconnect(&self) {
        let _ = limited("Disconnect", api::Peripheral::disconnect(self)).await;
    }
}

fn characteristic(own: &api::Characteristic) -> Characteristic {
    let has = |flag| own.properties.contains(flag);
    Characteristic {
        uuid: Uuid::from_bits(own.uuid.as_u128()),
        service: Uuid::from_bits(own.service_uuid.as_u128()),
        instance: 1,
        can_read: has(CharPropFlags::READ),
        can_notify: has(CharPropFlags::NOTIFY) || has(CharPropFlags::INDICATE),
        write_type: WriteType::new(has(CharPropFlags::WRITE), has(CharPropFlags::WRITE_WITHOUT_RESPONSE)),
        id: CharacteristicId(0),
    }
}
