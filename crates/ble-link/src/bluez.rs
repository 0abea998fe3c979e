//! The way to the radio through BlueZ over the system D-Bus: one Bluetooth adapter. Every call has a time limit.
//!
//! Source: BlueZ's D-Bus API (doc/org.bluez.Adapter.rst and the files beside it); D-Bus Specification, standard interfaces.

mod gatt;
mod known_device;
mod monitors;
mod scan;
mod scanner;
mod session;
mod signals;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde::Serialize;
use tokio::time::timeout;
use zbus::fdo::ManagedObjects;
use zbus::names::OwnedUniqueName;
use zbus::{Array, Connection, DynamicType, Message, OwnedObjectPath, OwnedVariant, Variant, fdo};

use crate::adapter::BluetoothAdapter;
use crate::backend::{Adapter, Connected, Session};
use crate::error::{BluetoothError, CALL_TIMEOUT};
use crate::gatt::GattError;
use crate::radio::RadioOptions;
use crate::scan_result::ScanResult;
use scan::BluezScan;

pub(crate) const BLUEZ: &str = "org.bluez";
pub(crate) const ADAPTER: &str = "org.bluez.Adapter1";
pub(crate) const DEVICE: &str = "org.bluez.Device1";
pub(crate) const OBJECTS: &str = "org.freedesktop.DBus.ObjectManager";
pub(crate) const PROPERTIES: &str = "org.freedesktop.DBus.Properties";

/// Properties of one interface of an object.
pub(crate) type Properties = HashMap<String, OwnedVariant>;

/// The body of `PropertiesChanged`: the interface, the changed properties and the names of the invalidated ones.
pub(crate) type Changed<'m> = (&'m str, Properties, Vec<&'m str>);

/// One Bluetooth adapter behind bluetoothd. Clones share one D-Bus connection.
#[derive(Debug, Clone)]
pub(crate) struct BluezAdapter {
    pub(crate) connection: Connection,
    /// The unique bus name of bluetoothd. Signals of other senders are ignored.
    pub(crate) owner: OwnedUniqueName,
    /// `/org/bluez/hci0`
    pub(crate) path: OwnedObjectPath,
}

impl BluezAdapter {
    /// Connects to the system's bus (`DBUS_SYSTEM_BUS_ADDRESS` where that is set) and finds the adapter, by its name
    /// (`hci0`) or its address.
    pub(crate) async fn open(name: &str) -> Result<Self, BluetoothError> {
        let connecting = timeout(CALL_TIMEOUT, Connection::system()).await;
        let connection = connecting
            .map_err(|_| BluetoothError::Timeout { call: "the system bus" })?
            .map_err(|source| BluetoothError::NoBus { source: source.into() })?;
        let owner = owner(&connection).await?;
        let objects = managed_objects(&connection).await?;
        let path = find_adapter(&objects, name)?;
        Ok(Self { connection, owner, path })
    }

    /// Whether bluetoothd is still the process that was found at the start.
    pub(crate) async fn is_current(&self) -> Result<bool, BluetoothError> {
        Ok(owner(&self.connection).await? == self.owner)
    }

    /// All objects of bluetoothd with their properties.
    pub(crate) async fn objects(&self) -> Result<ManagedObjects, BluetoothError> {
        managed_objects(&self.connection).await
    }

    /// Calls a method of a bluetoothd object.
    pub(crate) async fn call<B: Serialize + DynamicType>(
        &self,
        path: &OwnedObjectPath,
        interface: &'static str,
        method: &'static str,
        body: &B,
        limit: Duration,
    ) -> Result<Message, BluetoothError> {
        call(&self.connection, BLUEZ, path.as_str(), interface, method, body, limit).await
    }

    /// Calls a method of the adapter object.
    pub(crate) async fn call_adapter<B: Serialize + DynamicType>(
        &self,
        method: &'static str,
        body: &B,
    ) -> Result<(), BluetoothError> {
        self.call(&self.path, ADAPTER, method, body, CALL_TIMEOUT).await.map(drop)
    }

    pub(crate) async fn properties(
        &self,
        path: &OwnedObjectPath,
        interface: &'static str,
    ) -> Result<Properties, BluetoothError> {
        let message = self.call(path, PROPERTIES, "GetAll", &(interface,), CALL_TIMEOUT).await?;
        message.body().deserialize().map_err(|source| dbus_error("GetAll", source))
    }

    pub(crate) async fn set_powered(&self, on: bool) -> Result<(), BluetoothError> {
        let body = (ADAPTER, "Powered", Variant::from(on));
        self.call(&self.path, PROPERTIES, "Set", &body, CALL_TIMEOUT).await.map(drop)
    }
}

#[async_trait]
impl Adapter for BluezAdapter {
    fn name(&self) -> &str {
        last_segment(&self.path)
    }

    async fn is_powered(&self) -> Result<bool, BluetoothError> {
        let adapter = self.properties(&self.path, ADAPTER).await?;
        Ok(flag(&adapter, "Powered").unwrap_or_default())
    }

    async fn session(
        &self,
        options: &RadioOptions,
    ) -> Result<(Box<dyn Session>, Vec<ScanResult>), BluetoothError> {
        let (session, results) = BluezScan::start(self.clone(), options).await?;
        Ok((Box::new(session), results))
    }

    /// Over a connection to the bus of its own.
    async fn for_connections(&self) -> Result<BluetoothAdapter, BluetoothError> {
        Ok(BluetoothAdapter(Arc::new(Self::open(self.name()).await?)))
    }

    async fn connect(&self, address: &str) -> Result<Connected, GattError> {
        gatt::connect(self, address).await
    }
}

/// The last part of an object's path.
pub(crate) fn last_segment(path: &OwnedObjectPath) -> &str {
    path.as_str().rsplit('/').next().unwrap_or_default()
}

/// Whether an object lies below another.
pub(crate) fn is_below(path: &str, parent: &OwnedObjectPath) -> bool {
    path.strip_prefix(parent.as_str()).is_some_and(|rest| rest.starts_with('/'))
}

/// The bytes in a variant; `None` if it holds something else, or more than `limit` bytes.
pub(crate) fn bytes(value: &Variant<'_>, most: usize) -> Option<Vec<u8>> {
    let array = value.downcast_ref::<&Array<'_>>().ok()?;
    if array.len() > most {
        return None;
    }
    array.iter().map(|byte| byte.downcast_ref::<u8>().ok()).collect()
}

/// A string property.
pub(crate) fn text<'p>(properties: &'p Properties, name: &str) -> Option<&'p str> {
    properties.get(name).and_then(|value| value.downcast_ref::<&str>().ok())
}

/// A boolean property.
pub(crate) fn flag(properties: &Properties, name: &str) -> Option<bool> {
    properties.get(name).and_then(|value| value.downcast_ref::<bool>().ok())
}

async fn owner(connection: &Connection) -> Result<OwnedUniqueName, BluetoothError> {
    const DBUS: &str = "org.freedesktop.DBus";
    // D-Bus may start bluetoothd on demand.
    let _ = call(
        connection,
        DBUS,
        "/org/freedesktop/DBus",
        DBUS,
        "StartServiceByName",
        &(BLUEZ, 0_u32),
        CALL_TIMEOUT,
    )
    .await;
    let answer =
        call(connection, DBUS, "/org/freedesktop/DBus", DBUS, "GetNameOwner", &(BLUEZ,), CALL_TIMEOUT).await;
    let message = answer.map_err(|error| match error {
        BluetoothError::Refused { .. } => BluetoothError::NoBluez,
        error => error,
    })?;
    message.body().deserialize().map_err(|source| dbus_error("GetNameOwner", source))
}

async fn managed_objects(connection: &Connection) -> Result<ManagedObjects, BluetoothError> {
    let message = call(connection, BLUEZ, "/", OBJECTS, "GetManagedObjects", &(), CALL_TIMEOUT).await?;
    message.body().deserialize().map_err(|source| dbus_error("GetManagedObjects", source))
}

fn find_adapter(objects: &ManagedObjects, wanted: &str) -> Result<OwnedObjectPath, BluetoothError> {
    let adapters = objects.iter().filter_map(|(path, interfaces)| Some((path, interfaces.get(ADAPTER)?)));
    let mut names = Vec::new();
    for (path, properties) in adapters {
        let address = text(properties, "Address").unwrap_or_default();
        if last_segment(path) == wanted || address.eq_ignore_ascii_case(wanted) {
            return Ok(path.clone());
        }
        names.push(format!("{} ({address})", last_segment(path)));
    }
    names.sort_unstable();
    let available = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
    Err(BluetoothError::NoAdapter { wanted: wanted.to_owned(), available })
}

async fn call<B: Serialize + DynamicType>(
    connection: &Connection,
    service: &'static str,
    path: &str,
    interface: &'static str,
    method: &'static str,
    body: &B,
    limit: Duration,
) -> Result<Message, BluetoothError> {
    let calling = connection.call_method(Some(service), path, Some(interface), method, body);
    let answer = timeout(limit, calling).await.map_err(|_| BluetoothError::Timeout { call: method })?;
    answer.map_err(|error| call_error(method, error))
}

/// The bus connection failed, or an answer could not be read.
pub(crate) fn dbus_error(call: &'static str, source: impl Into<zbus::Error>) -> BluetoothError {
    BluetoothError::DBus { call, source: source.into().into() }
}

fn call_error(call: &'static str, error: zbus::Error) -> BluetoothError {
    let (name, reason) = match &error {
        zbus::Error::FDO(standard) => match &**standard {
            fdo::Error::AccessDenied(_) | fdo::Error::AuthFailed(_) => {
                return BluetoothError::NotAllowed { source: error.into() };
            }
            fdo::Error::NoReply(_) | fdo::Error::Timeout(_) | fdo::Error::TimedOut(_) => {
                return BluetoothError::Timeout { call };
            }
            standard => (zbus::DBusError::name(standard).to_string(), standard.to_string()),
        },
        zbus::Error::MethodError(name, reason, _) => {
            (name.to_string(), reason.clone().unwrap_or_else(|| name.to_string()))
        }
        _ => return BluetoothError::DBus { call, source: error.into() },
    };
    BluetoothError::Refused { call, name, reason }
}
