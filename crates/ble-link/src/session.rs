//! One session with bluetoothd: the devices it knows, and its signals, one after another in their order.

use std::collections::{HashMap, VecDeque};
use std::num::NonZeroUsize;
use std::time::Duration;

use futures_util::StreamExt as _;
use tokio::time::Instant;
use zbus::message::Type;
use zbus::{AsyncDrop as _, MatchRule, Message, MessageStream, ObjectPath, OwnedObjectPath};

use crate::gatt::CHARACTERISTIC;
use crate::heard::{Device, Heard};
use crate::link::{
    ADAPTER, BLUEZ, Changed, DEVICE, Link, LinkError, OBJECTS, PROPERTIES, Properties, flag, is_below,
};

/// Signals that wait; while they are full the bus keeps more.
const QUEUE: NonZeroUsize = NonZeroUsize::MIN.saturating_add(1_023);
/// Most devices that are known at once; bluetoothd forgets those that it has not heard for half a minute.
const MAX_DEVICES: usize = 10_000;
/// How long after an advertisement was found bluetoothd tells what has changed.
const TOLD_WITHIN: Duration = Duration::from_millis(300);
/// Most devices that are found at once.
const MAX_FOUND: usize = 1_024;

/// What a signal told.
#[derive(Debug)]
pub(crate) enum Event {
    /// An advertisement.
    Heard(Heard),
    /// A device is there, and says nothing that could be read.
    Near,
    /// A connected device gave a value.
    Spoken,
    /// The adapter was switched on or off.
    Powered(bool),
    /// bluetoothd listens, or does not.
    Discovering(bool),
}

pub(crate) struct Session {
    link: Link,
    signals: MessageStream,
    owners: MessageStream,
    devices: HashMap<OwnedObjectPath, Device>,
    /// Devices that a passive scan has found, and when what they say is as it was before.
    found: VecDeque<(Instant, OwnedObjectPath)>,
}

type Interfaces = HashMap<String, Properties>;

impl Session {
    /// A session over `link`, and what bluetoothd has heard lately.
    pub(crate) async fn begin(link: Link) -> Result<(Self, Vec<Heard>), LinkError> {
        let broken = |source| LinkError::Broken { call: "AddMatch", source };
        let signals = MatchRule::builder().msg_type(Type::Signal).sender(BLUEZ).build().map_err(broken)?;
        let owners = MatchRule::builder()
            .msg_type(Type::Signal)
            .sender("org.freedesktop.DBus")
            .member("NameOwnerChanged")
            .add_arg(BLUEZ)
            .build()
            .map_err(broken)?;
        let signals = MessageStream::for_match_rule(signals, &link.connection, Some(QUEUE));
        let owners = MessageStream::for_match_rule(owners, &link.connection, None);
        let (signals, owners) = (signals.await.map_err(broken)?, owners.await.map_err(broken)?);
        // It may have been started anew before its end would have been told.
        if !link.is_current().await? {
            return Err(LinkError::BluezEnded);
        }
        let mut session = Self { link, signals, owners, devices: HashMap::new(), found: VecDeque::new() };
        let heard = session.look_around().await?;
        Ok((session, heard))
    }

    async fn look_around(&mut self) -> Result<Vec<Heard>, LinkError> {
        let objects = self.link.objects().await?;
        let mut heard = Vec::new();
        for (path, interfaces) in &objects {
            let device = interfaces.get(DEVICE).filter(|_| is_below(path.as_str(), &self.link.adapter));
            let Some(properties) = device else { continue };
            // What bluetoothd has known for long, and did not hear lately, is no news.
            if let (Some(told), true) = self.discovered(path.clone(), properties) {
                heard.push(told);
            }
        }
        Ok(heard)
    }

    /// The next signal's event. May be cancelled: nothing is lost.
    ///
    /// # Errors
    /// Where the session is over.
    pub(crate) async fn next(&mut self) -> Result<Event, LinkError> {
        loop {
            let message = tokio::select! {
                biased;
                owner = self.owners.next() => match owner {
                    Some(_) => return Err(LinkError::BluezEnded),
                    None => return Err(LinkError::BusClosed),
                },
                signal = self.signals.next() => match signal {
                    Some(Ok(message)) => message,
                    _ => return Err(LinkError::BusClosed),
                },
            };
            if let Some(event) = self.read(&message)? {
                return Ok(event);
            }
        }
    }

    /// A passive scan has found a device. Of that bluetoothd tells only what has changed: where nothing has, the device
    /// has said the same again.
    pub(crate) fn found(&mut self, path: OwnedObjectPath, now: Instant) {
        let told_at = self.devices.get(&path).and_then(|device| device.told_at);
        let is_told = told_at.is_some_and(|at| now < at + TOLD_WITHIN);
        let is_found = || self.found.iter().any(|(_, known)| *known == path);
        if !is_told && self.found.len() < MAX_FOUND && !is_found() {
            self.found.push_back((now + TOLD_WITHIN, path));
        }
    }

    /// When the next device that was found has said the same again, if it has.
    pub(crate) fn next_repeat(&self) -> Option<Instant> {
        self.found.front().map(|(due, _)| *due)
    }

    /// What devices have said again.
    pub(crate) fn repeats(&mut self, now: Instant) -> Vec<Heard> {
        let mut repeats = Vec::new();
        while self.next_repeat().is_some_and(|due| due <= now)
            && let Some((due, path)) = self.found.pop_front()
        {
            let device = self.devices.get(&path);
            let is_told = device.and_then(|device| device.told_at).is_some_and(|at| due - TOLD_WITHIN <= at);
            repeats.extend(device.filter(|_| !is_told).and_then(Device::again));
        }
        repeats
    }

    /// Tells the bus that nothing more is wanted.
    pub(crate) async fn end(self) {
        self.signals.async_drop().await;
        self.owners.async_drop().await;
    }

    fn read(&mut self, message: &Message) -> Result<Option<Event>, LinkError> {
        let header = message.header();
        if header.sender() != Some(&self.link.owner) {
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

    fn changed(&mut self, path: &str, message: &Message) -> Option<Event> {
        let is_adapter = path == self.link.adapter.as_str();
        if !is_adapter && !is_below(path, &self.link.adapter) {
            return None;
        }
        let body = message.body();
        let (interface, changed, invalidated): Changed<'_> = body.deserialize().ok()?;
        if is_adapter && interface == ADAPTER {
            let powered = flag(&changed, "Powered").map(Event::Powered);
            return powered.or_else(|| flag(&changed, "Discovering").map(Event::Discovering));
        }
        if interface == CHARACTERISTIC {
            return changed.contains_key("Value").then_some(Event::Spoken);
        }
        if interface != DEVICE {
            return None;
        }
        let path = ObjectPath::try_from(path).ok()?;
        let device = self.devices.get_mut(&path)?;
        device.invalidated(&invalidated);
        // Connections change properties too, and so does the end of a scan.
        let is_near = changed.contains_key("RSSI").then_some(Event::Near);
        let heard = device.changed(&changed).map(Event::Heard);
        if heard.is_some() {
            device.told_at = Some(Instant::now());
        }
        heard.or(is_near)
    }

    fn added(&mut self, message: &Message) -> Option<Event> {
        let body = message.body();
        let (path, mut interfaces): (OwnedObjectPath, Interfaces) = body.deserialize().ok()?;
        let properties = interfaces.remove(DEVICE).filter(|_| is_below(path.as_str(), &self.link.adapter))?;
        let (heard, _) = self.discovered(path, &properties);
        Some(heard.map_or(Event::Near, Event::Heard))
    }

    fn removed(&mut self, message: &Message) -> Result<Option<Event>, LinkError> {
        let body = message.body();
        let Ok((path, interfaces)) = body.deserialize::<(OwnedObjectPath, Vec<String>)>() else {
            return Ok(None);
        };
        if path == self.link.adapter && interfaces.iter().any(|name| name == ADAPTER) {
            return Err(LinkError::Unplugged { adapter: self.link.adapter_name().to_owned() });
        }
        if interfaces.iter().any(|name| name == DEVICE) {
            self.devices.remove(&path);
        }
        Ok(None)
    }

    /// A device that was not known: what is known at once comes as no other signal.
    fn discovered(&mut self, path: OwnedObjectPath, properties: &Properties) -> (Option<Heard>, bool) {
        let Some(mut device) = Device::new(properties) else { return (None, false) };
        let told = (device.changed(properties), device.is_near());
        device.told_at = told.0.is_some().then(Instant::now);
        if self.devices.len() < MAX_DEVICES || self.devices.contains_key(&path) {
            self.devices.insert(path, device);
        }
        told
    }
}
