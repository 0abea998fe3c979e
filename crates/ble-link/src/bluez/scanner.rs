//! Starts and stops scanning in bluetoothd, actively or passively.

use std::collections::HashMap;

use zbus::Variant;

use super::BluezAdapter;
use super::monitors::{MonitorEvent, Monitors};
use crate::error::BluetoothError;
use crate::radio::{Pattern, RadioState, ScanMode};

/// Lower than any signal strength. With an RSSI filter bluetoothd reports every change of RSSI, without one only large ones.
const MIN_RSSI: i16 = -127;
const IN_PROGRESS: &str = "org.bluez.Error.InProgress";

pub(crate) struct Scanner {
    adapter: BluezAdapter,
    scan: ScanMode,
    patterns: Vec<Pattern>,
    active: ActiveScan,
}

/// The scan that bluetoothd runs for us.
enum ActiveScan {
    None,
    Discovery,
    Monitors(Monitors),
}

impl Scanner {
    pub(crate) fn new(adapter: BluezAdapter, scan: ScanMode, patterns: Vec<Pattern>) -> Self {
        Self { adapter, scan, patterns, active: ActiveScan::None }
    }

    /// Whether a discovery was started and not stopped.
    pub(crate) fn is_discovering(&self) -> bool {
        matches!(self.active, ActiveScan::Discovery)
    }

    /// The scan has stopped without our request.
    pub(crate) fn reset(&mut self) {
        self.active = ActiveScan::None;
    }

    /// bluetoothd has released the monitors. This session scans actively from now on.
    pub(crate) fn monitors_released(&mut self) {
        (self.scan, self.active) = (ScanMode::Active, ActiveScan::None);
    }

    /// The next event of a passive scan; never ready if none runs. Cancel safe.
    pub(crate) async fn next_monitor_event(&mut self) -> MonitorEvent {
        match &mut self.active {
            ActiveScan::Monitors(monitors) => monitors.next().await,
            ActiveScan::None | ActiveScan::Discovery => std::future::pending().await,
        }
    }

    /// Starts the scan, if it does not run yet.
    pub(crate) async fn start(&mut self) -> Result<RadioState, BluetoothError> {
        match (&self.active, self.scan) {
            (_, ScanMode::Off) => return Ok(RadioState::Idle),
            (ActiveScan::None, ScanMode::Passive) => {
                match Monitors::register(&self.adapter, &self.patterns).await {
                    Ok(monitors) => self.active = ActiveScan::Monitors(monitors),
                    Err(BluetoothError::Refused { .. }) => self.scan = ScanMode::Active,
                    Err(error) => return Err(error),
                }
            }
            _ => {}
        }
        match &self.active {
            ActiveScan::Monitors(_) => return Ok(RadioState::Passive),
            ActiveScan::Discovery => {}
            ActiveScan::None => {
                self.start_discovery().await?;
                self.active = ActiveScan::Discovery;
            }
        }
        Ok(RadioState::Active)
    }

    /// Asks for Low Energy only, because a search for classic devices takes half of the radio's time, and for every
    /// advertisement, unchanged ones included.
    async fn start_discovery(&self) -> Result<(), BluetoothError> {
        let filter = HashMap::from([
            ("Transport", Variant::from("le")),
            ("DuplicateData", Variant::from(true)),
            ("RSSI", Variant::from(MIN_RSSI)),
        ]);
        self.adapter.call_adapter("SetDiscoveryFilter", &(filter,)).await?;
        match self.adapter.call_adapter("StartDiscovery", &()).await {
            Err(BluetoothError::Refused { name, .. }) if name == IN_PROGRESS => Ok(()),
            started => started,
        }
    }

    /// Stops the scan. A failure means that none runs.
    pub(crate) async fn stop(&mut self) {
        match std::mem::replace(&mut self.active, ActiveScan::None) {
            ActiveScan::None => {}
            ActiveScan::Discovery => drop(self.adapter.call_adapter("StopDiscovery", &()).await),
            ActiveScan::Monitors(monitors) => monitors.unregister().await,
        }
    }
}
