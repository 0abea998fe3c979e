//! What a way to the radio (a backend) has to offer: an adapter, sessions of scanning, and connected devices.
//!
//! Every call ends within a time limit, and nothing waits for a reader.

use std::fmt;

use async_trait::async_trait;

use crate::adapter::BluetoothAdapter;
use crate::error::BluetoothError;
use crate::gatt::{Characteristic, CharacteristicId, GattError, Notifications};
use crate::radio::{RadioOptions, RadioState};
use crate::scan_result::ScanResult;

/// One Bluetooth adapter.
#[async_trait]
pub(crate) trait Adapter: fmt::Debug + Send + Sync {
    /// For example `hci0`.
    fn name(&self) -> &str;

    async fn is_powered(&self) -> Result<bool, BluetoothError>;

    /// Opens a session, and returns the devices that were received recently.
    async fn session(
        &self,
        options: &RadioOptions,
    ) -> Result<(Box<dyn Session>, Vec<ScanResult>), BluetoothError>;

    /// The same adapter for connections, reached so that answers do not wait behind advertisements.
    async fn for_connections(&self) -> Result<BluetoothAdapter, BluetoothError>;

    /// Connects to a device and discovers its characteristics, in the order of their ids. `address` is in upper case.
    async fn connect(&self, address: &str) -> Result<Connected, GattError>;
}

/// A connected device.
#[derive(Debug)]
pub(crate) struct Connected {
    pub(crate) device: Box<dyn Device>,
    pub(crate) characteristics: Vec<Characteristic>,
    pub(crate) notifications: Notifications,
}

/// Scanning through one adapter. An error that [`RadioTask`](crate::radio) cannot wait out ends the session.
#[async_trait]
pub(crate) trait Session: Send {
    /// The next event. Cancel safe.
    async fn next(&mut self) -> Result<SessionEvent, BluetoothError>;

    /// Makes sure that the adapter is on and that the scan runs.
    async fn ensure_scanning(&mut self) -> Result<Scanning, BluetoothError>;

    /// Stops the scan. A failure means that none runs.
    async fn stop_scan(&mut self);

    /// Switches the adapter off and on.
    async fn power_cycle(&mut self) -> Result<(), BluetoothError>;

    /// Whether [`Self::power_cycle`] does anything.
    fn can_power_cycle(&self) -> bool {
        true
    }

    async fn close(self: Box<Self>);
}

/// What a session reports to the radio.
#[derive(Debug)]
pub(crate) enum SessionEvent {
    ScanResult(ScanResult),
    /// A device is in reach, but no data came with the sign of it.
    Presence,
    /// A connected device notified a value.
    Notification,
    /// The adapter was switched on, or the kind of scan has changed: the scan may have to be started.
    Changed,
    /// The adapter was switched off, or the scan has stopped. It may come back by itself.
    Stopped,
    /// The scan had stopped, and the session has started it again. BlueZ's reports [`Self::Stopped`] instead.
    #[cfg_attr(not(feature = "btleplug"), allow(dead_code, reason = "only btleplug's session does so"))]
    Restarted,
}

/// A scan that runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Scanning {
    /// [`RadioState::Active`], [`RadioState::Passive`] or [`RadioState::Idle`].
    pub(crate) state: RadioState,
    /// It had stopped without a request.
    pub(crate) was_restarted: bool,
}

/// The characteristics of a connected device. Dropping it disconnects the device.
#[async_trait]
pub(crate) trait Device: fmt::Debug + Send + Sync {
    async fn read(&self, characteristic: CharacteristicId) -> Result<Vec<u8>, GattError>;

    async fn write(
        &self,
        characteristic: CharacteristicId,
        value: &[u8],
        with_response: bool,
    ) -> Result<(), GattError>;

    async fn subscribe(&self, characteristic: CharacteristicId) -> Result<(), GattError>;

    /// Disconnects and waits for that, at most for [`CALL_TIMEOUT`](crate::error::CALL_TIMEOUT).
    async fn close(self: Box<Self>);
}
