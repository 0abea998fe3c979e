//! A connected device: its characteristics read, written, and heard when they notify.
//!
//! Promises: every call ends within [`DEVICE_PATIENCE`] or twice that; a device that hangs holds up nobody else; what is
//! dropped half-way is disconnected all the same. One value is told once: of a characteristic that is subscribed to by
//! [`Values`] alone, of one that is read by [`Peripheral::read`] alone.
//!
//! Source: BlueZ, doc/org.bluez.Device.rst and doc/org.bluez.GattCharacteristic.rst.

mod error;
mod watch;

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

use crate::link::{DEVICE, Link, LinkError, PATIENCE, Properties, flag, is_below, text};
use crate::uuid::Uuid;
use watch::{Change, Watch};

pub(crate) const CHARACTERISTIC: &str = "org.bluez.GattCharacteristic1";
const SERVICE: &str = "org.bluez.GattService1";

/// How long a device may take to connect, to tell its services, or to answer: as long as its own protocol gives it (Core
/// Specification, vol. 3, part F, 3.3.3).
pub const DEVICE_PATIENCE: Duration = Duration::from_secs(30);
/// The longest value of a characteristic (Core Specification, vol. 3, part F, 3.2.9).
pub const MAX_VALUE: usize = 512;
/// Values that wait to be taken; what comes while they are full is lost and counted.
const MAX_WAITING: usize = 64;
/// Most characteristics of a device that are looked at.
const MAX_CHARACTERISTICS: usize = 256;

/// A characteristic of a connected device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Characteristic {
    /// What it is.
    pub uuid: Uuid,
    /// Of which service.
    pub service: Uuid,
    /// 1; of a second one with the same UUID in the device 2, in the order of their handles.
    pub which: u8,
    /// Its value can be asked for.
    pub reads: bool,
    /// It tells its value by itself (notifies or indicates).
    pub notifies: bool,
    writes: Option<Write>,
    path: OwnedObjectPath,
}

impl Characteristic {
    /// Whether it can be written.
    #[must_use]
    pub const fn is_writable(&self) -> bool {
        self.writes.is_some()
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Write {
    /// The device confirms it.
    Request,
    /// Nobody knows whether it arrived.
    Command,
}

/// A connected device. Disconnected when it is dropped; [`Self::close`] waits for that.
#[derive(Debug)]
pub struct Peripheral {
    address: String,
    characteristics: Vec<Characteristic>,
    /// From where on values of a characteristic count: since it was subscribed to.
    since: Arc<HashMap<OwnedObjectPath, OnceLock<Sequence>>>,
    connected: Connected,
}

/// What the device says by itself.
#[derive(Debug)]
pub struct Values {
    values: mpsc::Receiver<(OwnedObjectPath, Vec<u8>)>,
    gone: Arc<OnceLock<&'static str>>,
    lost: Arc<AtomicU64>,
    _reader: AbortOnDropHandle<()>,
}

/// A value of a characteristic, or the end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told {
    /// A new value; [`Peripheral::of`] tells of which characteristic.
    Value {
        /// Whose.
        of: ValueOf,
        /// The bytes: at most [`MAX_VALUE`].
        value: Vec<u8>,
    },
    /// The device has disconnected, or bluetoothd has ended: nothing more comes.
    Gone {
        /// How.
        why: &'static str,
    },
}

/// Which characteristic a value is of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ValueOf(OwnedObjectPath);

impl Peripheral {
    /// Connects to the device and learns what it has. `address` in any case.
    ///
    /// # Errors
    /// Where the device is not known to bluetoothd, out of reach, or silent.
    pub async fn connect(link: &Link, address: &str) -> Result<(Self, Values), GattError> {
        let address = address.to_ascii_uppercase();
        let device = find(&link.objects().await?, link, &address)?;
        let mut watch = Watch::begin(link, &device).await?;
        let connected = Connected { link: link.clone(), device, is_open: true };
        let device = &connected.device;
        let gone = |why| GattError::Gone { address: address.clone(), why };
        let connecting = link.call(device, DEVICE, "Connect", &(), DEVICE_PATIENCE);
        watch
            .during(connecting)
            .await
            .map_err(gone)?
            .map_err(|error| error::of_connecting(&address, error))?;
        resolve(link, device, &mut watch, &address).await?;
        let objects = watch.during(link.objects()).await.map_err(gone)??;
        let characteristics = characteristics(&objects, device);
        let paths = characteristics.iter().map(|characteristic| characteristic.path.clone());
        let since = Arc::new(paths.map(|path| (path, OnceLock::new())).collect());
        let values = Values::of(watch, Arc::clone(&since));
        Ok((Self { address, characteristics, since, connected }, values))
    }

    /// Its characteristics, in the order of their handles.
    #[must_use]
    pub fn characteristics(&self) -> &[Characteristic] {
        &self.characteristics
    }

    /// Of which characteristic a value is.
    #[must_use]
    pub fn of(&self, value: &ValueOf) -> Option<&Characteristic> {
        self.characteristics.iter().find(|characteristic| characteristic.path == value.0)
    }

    /// Asks for a value.
    ///
    /// # Errors
    /// Where the device does not answer, does not permit it, or is gone.
    pub async fn read(&self, characteristic: &Characteristic) -> Result<Vec<u8>, GattError> {
        let options: HashMap<&str, Variant<'_>> = HashMap::new();
        let message = self.call(characteristic, "ReadValue", &(options,)).await?;
        let body = message.body();
        let value: Vec<u8> = body.deserialize().map_err(|source| broken("ReadValue", source))?;
        check_length(&value)?;
        Ok(value)
    }

    /// Writes a value; with an answer of the device where the characteristic has that, else without.
    ///
    /// # Errors
    /// Where it cannot be written, or as [`Self::read`].
    pub async fn write(&self, characteristic: &Characteristic, value: &[u8]) -> Result<(), GattError> {
        check_length(value)?;
        let kind = match characteristic.writes {
            Some(Write::Request) => "request",
            Some(Write::Command) => "command",
            None => {
                let (uuid, reason) = (characteristic.uuid, "it cannot be written".to_owned());
                return Err(GattError::NotPermitted { uuid, call: "WriteValue", reason });
            }
        };
        let options = HashMap::from([("type", Variant::from(kind))]);
        self.call(characteristic, "WriteValue", &(value, options)).await.map(drop)
    }

    /// Has the device tell new values by itself: they come from [`Values::next`].
    ///
    /// # Errors
    /// As [`Self::read`].
    pub async fn subscribe(&self, characteristic: &Characteristic) -> Result<(), GattError> {
        let answer = self.call(characteristic, "StartNotify", &()).await?;
        if let Some(since) = self.since.get(&characteristic.path) {
            // Subscribed to before: it counts since then.
            let _ = since.set(answer.recv_position());
        }
        Ok(())
    }

    /// Disconnects, and waits for that for some seconds.
    pub async fn close(mut self) {
        self.connected.is_open = false;
        self.connected.disconnect().await;
    }

    async fn call<B: Serialize + DynamicType>(
        &self,
        characteristic: &Characteristic,
        method: &'static str,
        body: &B,
    ) -> Result<Message, GattError> {
        let Connected { link, .. } = &self.connected;
        let answer = link.call(&characteristic.path, CHARACTERISTIC, method, body, DEVICE_PATIENCE).await;
        answer.map_err(|error| error::of_calling(&self.address, characteristic.uuid, method, error))
    }
}

impl Values {
    /// Reads on from now on, whether or not anybody takes the values.
    fn of(mut watch: Watch, since: Arc<HashMap<OwnedObjectPath, OnceLock<Sequence>>>) -> Self {
        let (sender, values) = mpsc::channel(MAX_WAITING);
        let (gone, lost) = (Arc::new(OnceLock::new()), Arc::new(AtomicU64::new(0)));
        let (tell_gone, tell_lost) = (Arc::clone(&gone), Arc::clone(&lost));
        let reader = tokio::spawn(async move {
            let why = loop {
                match watch.next().await {
                    Change::Gone(why) => break why,
                    Change::Device { connected: Some(false), .. } => break "it has disconnected",
                    Change::Device { .. } => {}
                    Change::Value { path, value, at } => {
                        // What came before was asked for, and told by whoever asked.
                        let counts =
                            since.get(&path).and_then(OnceLock::get).is_some_and(|since| *since < at);
                        if counts && sender.try_send((path, value)).is_err() {
                            tell_lost.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                }
            };
            let _ = tell_gone.set(why);
        });
        Self { values, gone, lost, _reader: AbortOnDropHandle::new(reader) }
    }

    /// The next value, or the end. May be cancelled: nothing is lost.
    pub async fn next(&mut self) -> Told {
        match self.values.recv().await {
            Some((path, value)) => Told::Value { of: ValueOf(path), value },
            None => Told::Gone { why: self.gone.get().copied().unwrap_or("its connection was given up") },
        }
    }

    /// How many values were lost since nobody took them in time.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }
}

/// A device that bluetoothd connects to because of us.
#[derive(Debug)]
struct Connected {
    link: Link,
    device: OwnedObjectPath,
    is_open: bool,
}

impl Connected {
    /// Ends the connection, or the attempt at one. Where that fails there is none.
    async fn disconnect(&self) {
        let _ = self.link.call(&self.device, DEVICE, "Disconnect", &(), PATIENCE).await;
    }
}

impl Drop for Connected {
    fn drop(&mut self) {
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        if std::mem::take(&mut self.is_open) {
            let left = Self { link: self.link.clone(), device: self.device.clone(), is_open: false };
            runtime.spawn(async move { left.disconnect().await });
        }
    }
}

/// The device's object below the adapter.
fn find(objects: &ManagedObjects, link: &Link, address: &str) -> Result<OwnedObjectPath, GattError> {
    let devices = objects.iter().filter(|(path, _)| is_below(path.as_str(), &link.adapter));
    let mut devices = devices.filter_map(|(path, interfaces)| Some((path, interfaces.get(DEVICE)?)));
    let is_it = |properties: &Properties| {
        text(properties, "Address").is_some_and(|found| found.eq_ignore_ascii_case(address))
    };
    let found = devices.find(|(_, properties)| is_it(properties)).map(|(path, _)| path.clone());
    found.ok_or_else(|| GattError::NotSeen { address: address.to_owned() })
}

/// Waits until the device's services are known.
async fn resolve(
    link: &Link,
    device: &OwnedObjectPath,
    watch: &mut Watch,
    address: &str,
) -> Result<(), GattError> {
    let gone = |why| GattError::Gone { address: address.to_owned(), why };
    let due = Instant::now() + DEVICE_PATIENCE;
    let asked = link.call(device, crate::link::PROPERTIES, "GetAll", &(DEVICE,), PATIENCE);
    let answer = watch.during(asked).await.map_err(gone)??;
    let body = answer.body();
    let properties: Properties = body.deserialize().map_err(|source| broken("GetAll", source))?;
    if flag(&properties, "Connected") == Some(false) {
        return Err(gone("it has disconnected"));
    }
    let mut resolved = flag(&properties, "ServicesResolved") == Some(true);
    while !resolved {
        let change = timeout_at(due, watch.next()).await;
        match change.map_err(|_| GattError::NoServices { address: address.to_owned() })? {
            Change::Gone(why) => return Err(gone(why)),
            // Older than the answer: of the connection before.
            Change::Device { at, .. } if at < answer.recv_position() => {}
            Change::Device { connected: Some(false), .. } => return Err(gone("it has disconnected")),
            Change::Device { resolved: Some(true), .. } => resolved = true,
            Change::Device { .. } | Change::Value { .. } => {}
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
    // service000a/char000b: the handles, in hexadecimal digits of one length.
    found.sort_unstable_by(|a, b| a.path.as_str().cmp(b.path.as_str()));
    let mut seen: HashMap<Uuid, u8> = HashMap::new();
    for characteristic in &mut found {
        let count = seen.entry(characteristic.uuid).or_default();
        *count = count.saturating_add(1);
        characteristic.which = *count;
    }
    found
}

fn characteristic(path: &OwnedObjectPath, properties: &Properties, service: Uuid) -> Option<Characteristic> {
    let flags = properties.get("Flags").and_then(|flags| flags.downcast_ref::<&Array<'_>>().ok());
    let has = |wanted: &str| {
        flags.is_some_and(|flags| flags.iter().any(|flag| flag.downcast_ref::<&str>() == Ok(wanted)))
    };
    let writes = match (has("write"), has("write-without-response")) {
        (true, _) => Some(Write::Request),
        (false, true) => Some(Write::Command),
        (false, false) => None,
    };
    Some(Characteristic {
        uuid: text(properties, "UUID")?.parse().ok()?,
        service,
        which: 1,
        reads: has("read"),
        notifies: has("notify") || has("indicate"),
        writes,
        path: path.clone(),
    })
}

fn check_length(value: &[u8]) -> Result<(), GattError> {
    let bytes = value.len();
    if bytes > MAX_VALUE { Err(GattError::TooLong { bytes, most: MAX_VALUE }) } else { Ok(()) }
}

fn broken(call: &'static str, source: zbus::Error) -> LinkError {
    LinkError::Broken { call, source }
}

#[cfg(test)]
mod tests;
