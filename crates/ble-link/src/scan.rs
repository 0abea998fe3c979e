//! Has bluetoothd listen, and stop.

use std::collections::HashMap;

use zbus::Variant;

use crate::link::{Link, LinkError};
use crate::radio::{Scan, State};

/// Devices of any strength. With it bluetoothd tells of every change of the strength, without it of large ones.
const ANY_STRENGTH: i16 = -127;
const IN_PROGRESS: &str = "org.bluez.Error.InProgress";

pub(crate) struct Scanner {
    link: Link,
    scan: Scan,
    on: bool,
}

impl Scanner {
    pub(crate) fn new(link: Link, scan: Scan) -> Self {
        Self { link, scan, on: false }
    }

    pub(crate) fn link(&self) -> &Link {
        &self.link
    }

    /// Whether bluetoothd should be discovering because of us.
    pub(crate) fn is_on(&self) -> bool {
        self.on
    }

    /// bluetoothd has stopped by itself.
    pub(crate) fn forget(&mut self) {
        self.on = false;
    }

    /// Has bluetoothd listen, where it does not yet.
    pub(crate) async fn start(&mut self) -> Result<State, LinkError> {
        if self.scan == Scan::Off {
            return Ok(State::Idle);
        }
        if !self.on {
            self.discover().await?;
            self.on = true;
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
        if std::mem::take(&mut self.on) {
            let _ = self.link.call_adapter("StopDiscovery", &()).await;
        }
    }
}
