//! Has bluetoothd listen, and stop.

use std::collections::HashMap;

use zbus::Variant;

use crate::link::{Link, LinkError};
use crate::monitor::{Monitors, Pattern, Told};
use crate::radio::{Scan, State};

/// Devices of any strength. With it bluetoothd tells of every change of the strength, without it of large ones.
const ANY_STRENGTH: i16 = -127;
const IN_PROGRESS: &str = "org.bluez.Error.InProgress";

pub(crate) struct Scanner {
    link: Link,
    scan: Scan,
    patterns: Vec<Pattern>,
    on: On,
}

/// What bluetoothd does because of us.
enum On {
    Nothing,
    Discovery,
    Monitors(Monitors),
}

impl Scanner {
    pub(crate) fn new(link: Link, scan: Scan, patterns: Vec<Pattern>) -> Self {
        Self { link, scan, patterns, on: On::Nothing }
    }

    pub(crate) fn link(&self) -> &Link {
        &self.link
    }

    /// Whether bluetoothd should be discovering because of us.
    pub(crate) fn is_discovering(&self) -> bool {
        matches!(self.on, On::Discovery)
    }

    /// bluetoothd has stopped by itself.
    pub(crate) fn forget(&mut self) {
        self.on = On::Nothing;
    }

    /// bluetoothd has stopped to watch passively; it is not asked for that again in this session.
    pub(crate) fn is_released(&mut self) {
        (self.scan, self.on) = (Scan::Active, On::Nothing);
    }

    /// What a passive scan has found; for ever nothing where there is none. May be cancelled.
    pub(crate) async fn told(&mut self) -> Told {
        match &mut self.on {
            On::Monitors(monitors) => monitors.next().await,
            On::Nothing | On::Discovery => std::future::pending().await,
        }
    }

    /// Has bluetoothd listen, where it does not yet.
    pub(crate) async fn start(&mut self) -> Result<State, LinkError> {
        match (&self.on, self.scan) {
            (_, Scan::Off) => return Ok(State::Idle),
            (On::Nothing, Scan::Passive) => match Monitors::register(&self.link, &self.patterns).await {
                Ok(monitors) => self.on = On::Monitors(monitors),
                Err(LinkError::Refused { .. }) => self.scan = Scan::Active,
                Err(error) => return Err(error),
            },
            _ => {}
        }
        match &self.on {
            On::Monitors(_) => return Ok(State::Passive),
            On::Discovery => {}
            On::Nothing => {
                self.discover().await?;
                self.on = On::Discovery;
            }
        }
        Ok(State::Active)
    }

    /// Only Low Energy, since looking for classic devices takes half the time on the air; and every advertisement, the
    /// unchanged ones too.
    async fn discover(&self) -> Result<(), LinkError> {
        let filter = HashMap::from([
            ("Transport", Variant::from("le")),
            ("DuplicateData", Variant::from(true)),
            ("RSSI", Variant::from(ANY_STRENGTH)),
        ]);
        self.link.call_adapter("SetDiscoveryFilter", &(filter,)).await?;
        match self.link.call_adapter("StartDiscovery", &()).await {
            Err(LinkError::Refused { name, .. }) if name == IN_PROGRESS => Ok(()),
            started => started,
        }
    }

    /// Has it listen no longer. Where that fails it did not.
    pub(crate) async fn stop(&mut self) {
        match std::mem::replace(&mut self.on, On::Nothing) {
            On::Nothing => {}
            On::Discovery => drop(self.link.call_adapter("StopDiscovery", &()).await),
            On::Monitors(monitors) => monitors.unregister().await,
        }
    }
}
