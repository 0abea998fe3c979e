//! BlueZ on the system's D-Bus: one Bluetooth adapter, called with a limit on time.
//!
//! Source: BlueZ's D-Bus API (doc/org.bluez.Adapter.rst and its neighbours); D-Bus Specification, standard interfaces.

use std::collections::HashMap;
use std::time::Duration;

use serde::Serialize;
use tokio::time::timeout;
use zbus::fdo::ManagedObjects;
use zbus::names::OwnedUniqueName;
use zbus::{Array, Connection, DynamicType, Message, OwnedObjectPath, OwnedVariant, Variant, fdo};

pub(crate) const BLUEZ: &str = "org.bluez";
pub(crate) const ADAPTER: &str = "org.bluez.Adapter1";
pub(crate) const DEVICE: &str = "org.bluez.Device1";
pub(crate) const OBJECTS: &str = "org.freedesktop.DBus.ObjectManager";
pub(crate) const PROPERTIES: &str = "org.freedesktop.DBus.Properties";

/// How long a call to bluetoothd may take. What waits for a device has a limit of its own.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// Properties of one interface of an object.
pub(crate) type Properties = HashMap<String, OwnedVariant>;

/// The body of `PropertiesChanged`: of which interface, what changed, and what no longer holds.
pub(crate) type Changed<'m> = (&'m str, Properties, Vec<&'m str>);

/// Why BlueZ cannot be spoken to, or would not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// No bus.
    #[error("no D-Bus system bus: is the package dbus installed and running?")]
    NoBus {
        /// What zbus says.
        #[source]
        source: zbus::Error,
    },
    /// Nobody has the name `org.bluez`.
    #[error(
        "no bluetoothd: `apt install bluez`, then `systemctl enable --now bluetooth`; in a container, mount the host's /run/dbus"
    )]
    NoBluez,
    /// bluetoothd does not have the adapter.
    #[error("there is no Bluetooth adapter `{wanted}`; there is: {there}")]
    NoAdapter {
        /// Its name or address.
        wanted: String,
        /// Those that there are.
        there: String,
    },
    /// The bus, or bluetoothd, lets us do nothing.
    #[error("D-Bus does not let this user use Bluetooth: `usermod -aG bluetooth riser`, then restart")]
    NotAllowed {
        /// What D-Bus says.
        #[source]
        source: zbus::Error,
    },
    /// The adapter is switched off.
    #[error("{adapter} is switched off: `rfkill unblock bluetooth`, or `bluetoothctl power on`")]
    Off {
        /// Which.
        adapter: String,
    },
    /// bluetoothd refused a call.
    #[error("bluetoothd refuses {call}: {reason}")]
    Refused {
        /// What was asked.
        call: &'static str,
        /// The D-Bus error's name.
        name: String,
        /// Why, in bluetoothd's words.
        reason: String,
    },
    /// No answer in time.
    #[error("bluetoothd does not answer {call}")]
    Silent {
        /// What was asked.
        call: &'static str,
    },
    /// The bus has closed, or says what it should not.
    #[error("the D-Bus connection broke at {call}")]
    Broken {
        /// What was asked.
        call: &'static str,
        /// What zbus says.
        #[source]
        source: zbus::Error,
    },
    /// The bus has closed the connection.
    #[error("the D-Bus system bus has ended")]
    BusClosed,
    /// bluetoothd has ended or was started anew.
    #[error("bluetoothd has ended")]
    BluezEnded,
    /// The adapter was unplugged.
    #[error("{adapter} was unplugged")]
    Unplugged {
        /// Which.
        adapter: String,
    },
}

/// One Bluetooth adapter behind bluetoothd. Clones speak over the same connection.
#[derive(Debug, Clone)]
pub struct Link {
    pub(crate) connection: Connection,
    /// bluetoothd's unique name: signals of anybody else are not believed.
    pub(crate) owner: OwnedUniqueName,
    /// `/org/bluez/hci0`
    pub(crate) adapter: OwnedObjectPath,
}

impl Link {
    /// Connects to the system's bus (`DBUS_SYSTEM_BUS_ADDRESS` where that is set) and finds the adapter, by its name
    /// (`hci0`) or its address.
    ///
    /// # Errors
    /// Where there is no bus, no bluetoothd or no such adapter.
    pub async fn open(adapter: &str) -> Result<Self, LinkError> {
        let connecting = timeout(PATIENCE, Connection::system()).await;
        let connection = connecting
            .map_err(|_| LinkError::Silent { call: "the system bus" })?
            .map_err(|source| LinkError::NoBus { source })?;
        let owner = owner(&connection).await?;
        let objects = managed_objects(&connection).await?;
        let adapter = find_adapter(&objects, adapter)?;
        Ok(Self { connection, owner, adapter })
    }

    /// `hci0`
    #[must_use]
    pub fn adapter_name(&self) -> &str {
        name_of(&self.adapter)
    }

    /// Whether bluetoothd is still the one that was found.
    pub(crate) async fn is_current(&self) -> Result<bool, LinkError> {
        Ok(owner(&self.connection).await? == self.owner)
    }

    /// All objects of bluetoothd, with their properties.
    pub(crate) async fn objects(&self) -> Result<ManagedObjects, LinkError> {
        managed_objects(&self.connection).await
    }

    /// Calls a method of bluetoothd's.
    pub(crate) async fn call<B: Serialize + DynamicType>(
        &self,
        path: &OwnedObjectPath,
        interface: &'static str,
        method: &'static str,
        body: &B,
        patience: Duration,
    ) -> Result<Message, LinkError> {
        call(&self.connection, BLUEZ, path.as_str(), interface, method, body, patience).await
    }

    /// Calls a method of the adapter's.
    pub(crate) async fn call_adapter<B: Serialize + DynamicType>(
        &self,
        method: &'static str,
        body: &B,
    ) -> Result<(), LinkError> {
        self.call(&self.adapter, ADAPTER, method, body, PATIENCE).await.map(drop)
    }

    /// Properties of one interface of an object.
    pub(crate) async fn properties(
        &self,
        path: &OwnedObjectPath,
        interface: &'static str,
    ) -> Result<Properties, LinkError> {
        let message = self.call(path, PROPERTIES, "GetAll", &(interface,), PATIENCE).await?;
        message.body().deserialize().map_err(|source| LinkError::Broken { call: "GetAll", source })
    }

    /// Whether the adapter is switched on.
    ///
    /// # Errors
    /// Where bluetoothd does not say.
    pub async fn is_powered(&self) -> Result<bool, LinkError> {
        let adapter = self.properties(&self.adapter, ADAPTER).await?;
        Ok(flag(&adapter, "Powered").unwrap_or_default())
    }

    /// Switches the adapter on or off.
    pub(crate) async fn set_powered(&self, on: bool) -> Result<(), LinkError> {
        let body = (ADAPTER, "Powered", Variant::from(on));
        self.call(&self.adapter, PROPERTIES, "Set", &body, PATIENCE).await.map(drop)
    }
}

/// The last part of an object's path.
pub(crate) fn name_of(path: &OwnedObjectPath) -> &str {
    path.as_str().rsplit('/').next().unwrap_or_default()
}

/// Whether an object lies below another.
pub(crate) fn is_below(path: &str, parent: &OwnedObjectPath) -> bool {
    path.strip_prefix(parent.as_str()).is_some_and(|rest| rest.starts_with('/'))
}

/// The bytes that a variant holds; `None` where it holds something else, or more than `most`.
pub(crate) fn bytes(value: &Variant<'_>, most: usize) -> Option<Vec<u8>> {
    let array = value.downcast_ref::<&Array<'_>>().ok()?;
    if array.len() > most {
        return None;
    }
    array.iter().map(|byte| byte.downcast_ref::<u8>().ok()).collect()
}

/// A text among properties.
pub(crate) fn text<'p>(properties: &'p Properties, name: &str) -> Option<&'p str> {
    properties.get(name).and_then(|value| value.downcast_ref::<&str>().ok())
}

/// A truth value among properties.
pub(crate) fn flag(properties: &Properties, name: &str) -> Option<bool> {
    properties.get(name).and_then(|value| value.downcast_ref::<bool>().ok())
}

async fn owner(connection: &Connection) -> Result<OwnedUniqueName, LinkError> {
    const DBUS: &str = "org.freedesktop.DBus";
    // bluetoothd may be started by being asked for.
    let _ = call(
        connection,
        DBUS,
        "/org/freedesktop/DBus",
        DBUS,
        "StartServiceByName",
        &(BLUEZ, 0_u32),
        PATIENCE,
    )
    .await;
    let asked =
        call(connection, DBUS, "/org/freedesktop/DBus", DBUS, "GetNameOwner", &(BLUEZ,), PATIENCE).await;
    let message = asked.map_err(|error| match error {
        LinkError::Refused { .. } => LinkError::NoBluez,
        error => error,
    })?;
    message.body().deserialize().map_err(|source| LinkError::Broken { call: "GetNameOwner", source })
}

async fn managed_objects(connection: &Connection) -> Result<ManagedObjects, LinkError> {
    let message = call(connection, BLUEZ, "/", OBJECTS, "GetManagedObjects", &(), PATIENCE).await?;
    message.body().deserialize().map_err(|source| LinkError::Broken { call: "GetManagedObjects", source })
}

fn find_adapter(objects: &ManagedObjects, wanted: &str) -> Result<OwnedObjectPath, LinkError> {
    let adapters = objects.iter().filter_map(|(path, interfaces)| Some((path, interfaces.get(ADAPTER)?)));
    let mut names = Vec::new();
    for (path, properties) in adapters {
        let address = text(properties, "Address").unwrap_or_default();
        if name_of(path) == wanted || address.eq_ignore_ascii_case(wanted) {
            return Ok(path.clone());
        }
        names.push(format!("{} ({address})", name_of(path)));
    }
    names.sort_unstable();
    let there = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
    Err(LinkError::NoAdapter { wanted: wanted.to_owned(), there })
}

async fn call<B: Serialize + DynamicType>(
    connection: &Connection,
    service: &'static str,
    path: &str,
    interface: &'static str,
    method: &'static str,
    body: &B,
    patience: Duration,
) -> Result<Message, LinkError> {
    let calling = connection.call_method(Some(service), path, Some(interface), method, body);
    let answer = timeout(patience, calling).await.map_err(|_| LinkError::Silent { call: method })?;
    answer.map_err(|error| refusal(method, error))
}

fn refusal(call: &'static str, error: zbus::Error) -> LinkError {
    let (name, reason) = match &error {
        zbus::Error::FDO(standard) => match &**standard {
            fdo::Error::AccessDenied(_) | fdo::Error::AuthFailed(_) => {
                return LinkError::NotAllowed { source: error };
            }
            fdo::Error::NoReply(_) | fdo::Error::Timeout(_) | fdo::Error::TimedOut(_) => {
                return LinkError::Silent { call };
            }
            standard => (zbus::DBusError::name(standard).to_string(), standard.to_string()),
        },
        zbus::Error::MethodError(name, reason, _) => {
            (name.to_string(), reason.clone().unwrap_or_else(|| name.to_string()))
        }
        _ => return LinkError::Broken { call, source: error },
    };
    LinkError::Refused { call, name, reason }
}
