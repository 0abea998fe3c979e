//! One Bluetooth adapter of this machine, and the way to it.

use std::sync::Arc;

use crate::backend::Adapter;
#[cfg(target_os = "linux")]
use crate::bluez::BluezAdapter;
#[cfg(any(feature = "btleplug", not(target_os = "linux")))]
use crate::btleplug::BtleplugAdapter;
use crate::error::BluetoothError;

/// The environment variable that chooses between the backends of a build that has both.
#[cfg(all(feature = "btleplug", target_os = "linux"))]
const BACKEND: &str = "RISER_BLE_BACKEND";

/// A way to the radio.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Backend {
    /// BlueZ over D-Bus.
    #[cfg(target_os = "linux")]
    Bluez,
    #[cfg(any(feature = "btleplug", not(target_os = "linux")))]
    Btleplug,
}

impl Backend {
    /// On Linux BlueZ, unless the build has btleplug too and `RISER_BLE_BACKEND=btleplug` asks for it. Elsewhere btleplug.
    #[must_use]
    pub fn chosen() -> Self {
        #[cfg(all(feature = "btleplug", target_os = "linux"))]
        if std::env::var_os(BACKEND).is_some_and(|name| name == "btleplug") {
            return Self::Btleplug;
        }
        #[cfg(target_os = "linux")]
        return Self::Bluez;
        #[cfg(not(target_os = "linux"))]
        return Self::Btleplug;
    }

    /// Whether [`ScanMode::Passive`](crate::ScanMode::Passive) may be asked for.
    #[must_use]
    pub const fn can_scan_passively(self) -> bool {
        match self {
            #[cfg(target_os = "linux")]
            Self::Bluez => true,
            #[cfg(any(feature = "btleplug", not(target_os = "linux")))]
            Self::Btleplug => false,
        }
    }
}

/// One Bluetooth adapter. Clones share what reaches it.
#[derive(Debug, Clone)]
pub struct BluetoothAdapter(pub(crate) Arc<dyn Adapter>);

impl BluetoothAdapter {
    /// Finds the adapter, by its name (`hci0`) or its address.
    ///
    /// # Errors
    /// If there is no bus, no bluetoothd or no such adapter.
    pub async fn open(name: &str) -> Result<Self, BluetoothError> {
        Ok(match Backend::chosen() {
            #[cfg(target_os = "linux")]
            Backend::Bluez => Self(Arc::new(BluezAdapter::open(name).await?)),
            #[cfg(any(feature = "btleplug", not(target_os = "linux")))]
            Backend::Btleplug => Self(Arc::new(BtleplugAdapter::open(name).await?)),
        })
    }

    /// For example `hci0`.
    #[must_use]
    pub fn name(&self) -> &str {
        self.0.name()
    }

    ///
    /// # Errors
    /// If there is no answer.
    pub async fn is_powered(&self) -> Result<bool, BluetoothError> {
        self.0.is_powered().await
    }

    /// The same adapter for connections, reached so that answers do not wait behind advertisements.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub async fn for_connections(&self) -> Result<Self, BluetoothError> {
        self.0.for_connections().await
    }
}
