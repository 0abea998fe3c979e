//! The signals about one device: its values, and whether it is still there.

use std::num::NonZeroUsize;

use futures_util::StreamExt as _;
use tokio::time::timeout;
use zbus::message::{Sequence, Type};
use zbus::{MatchRule, Message, MessageStream, OwnedObjectPath, match_rule};

use super::{CHARACTERISTIC, MAX_VALUE};
use crate::link::{Changed, DEVICE, Link, LinkError, OBJECTS, PATIENCE, PROPERTIES, bytes, flag};

/// Signals that wait to be read. Who holds a watch reads on: a full queue holds up the whole connection to the bus.
const QUEUE: NonZeroUsize = NonZeroUsize::MIN.saturating_add(255);

/// What a signal told.
#[derive(Debug)]
pub(super) enum Change {
    /// The device's properties of these names, where they changed.
    Device { connected: Option<bool>, resolved: Option<bool>, at: Sequence },
    /// A characteristic's value.
    Value { path: OwnedObjectPath, value: Vec<u8>, at: Sequence },
    /// It will say nothing more.
    Gone(&'static str),
}

pub(super) struct Watch {
    properties: MessageStream,
    objects: MessageStream,
    owners: MessageStream,
    link: Link,
    device: OwnedObjectPath,
}

impl Watch {
    pub(super) async fn begin(link: &Link, device: &OwnedObjectPath) -> Result<Self, LinkError> {
        let signal = || MatchRule::builder().msg_type(Type::Signal);
        let of_bluez = || signal().sender(link.owner.to_owned());
        let properties =
            of_bluez().interface(PROPERTIES).member("PropertiesChanged").path_namespace(device.to_owned());
        let objects =
            of_bluez().interface(OBJECTS).member("InterfacesRemoved").arg_path(0, device.to_owned());
        let owners = signal()
            .sender("org.freedesktop.DBus")
            .member("NameOwnerChanged")
            .add_arg(link.owner.as_str().to_owned());
        Ok(Self {
            properties: stream(link, properties).await?,
            objects: stream(link, objects).await?,
            owners: stream(link, owners).await?,
            link: link.clone(),
            device: device.clone(),
        })
    }

    /// The next change. May be cancelled: nothing is lost.
    pub(super) async fn next(&mut self) -> Change {
        loop {
            // Values before the end that came behind them.
            let message = tokio::select! {
                biased;
                message = self.properties.next() => message,
                message = self.objects.next() => message,
                message = self.owners.next() => message,
            };
            let Some(Ok(message)) = message else {
                return Change::Gone("the D-Bus connection has closed");
            };
            if let Some(change) = self.read(&message) {
                return change;
            }
        }
    }

    /// Does `work`, and reads on meanwhile.
    pub(super) async fn during<T>(
        &mut self,
        work: impl Future<Output = Result<T, LinkError>>,
    ) -> Result<Result<T, LinkError>, &'static str> {
        tokio::pin!(work);
        loop {
            tokio::select! {
                biased;
                done = &mut work => return Ok(done),
                change = self.next() => if let Change::Gone(why) = change {
                    return Err(why);
                },
            }
        }
    }

    fn read(&self, message: &Message) -> Option<Change> {
        let header = message.header();
        match header.member()?.as_str() {
            "NameOwnerChanged" => Some(Change::Gone("bluetoothd has ended")),
            "InterfacesRemoved" => {
                let body = message.body();
                let (path, interfaces): (OwnedObjectPath, Vec<&str>) = body.deserialize().ok()?;
                let is_ours = path == self.device && interfaces.contains(&DEVICE);
                is_ours.then_some(Change::Gone("bluetoothd has removed it"))
            }
            _ => self.changed(message),
        }
    }

    fn changed(&self, message: &Message) -> Option<Change> {
        let header = message.header();
        // A bus may hand over more than was asked for.
        if header.sender() != Some(&self.link.owner) {
            return None;
        }
        let (path, body, at) = (header.path()?, message.body(), message.recv_position());
        let (interface, changed, _): Changed<'_> = body.deserialize().ok()?;
        match interface {
            DEVICE if path.as_str() == self.device.as_str() => {
                let (connected, resolved) = (flag(&changed, "Connected"), flag(&changed, "ServicesResolved"));
                let is_news = connected.is_some() || resolved.is_some();
                is_news.then_some(Change::Device { connected, resolved, at })
            }
            CHARACTERISTIC => {
                let value = changed.get("Value").and_then(|value| bytes(value, MAX_VALUE))?;
                Some(Change::Value { path: path.to_owned().into(), value, at })
            }
            _ => None,
        }
    }
}

async fn stream(link: &Link, rule: match_rule::Builder<'static>) -> Result<MessageStream, LinkError> {
    const CALL: &str = "AddMatch";
    let broken = |source| LinkError::Broken { call: CALL, source };
    let rule = rule.build().map_err(broken)?;
    let stream = MessageStream::for_match_rule(rule, &link.connection, Some(QUEUE));
    timeout(PATIENCE, stream).await.map_err(|_| LinkError::Silent { call: CALL })?.map_err(broken)
}
