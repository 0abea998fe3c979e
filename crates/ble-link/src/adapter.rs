//! One Bluetooth adapter of this machine, and the way to it.

use std::sync::Arc;

use crate::backend::Adapter;
use crate::bluez::BluezAdapter;
use crate::error::BluetoothError;

/// One Bluetooth adapter. Clones share what reaches it.
#[derive(Debug, Clone)]
pub struct BluetoothAdapter(pub(crate) Arc<dyn Adapter>);

impl BluetoothAdapter {
    /// Finds the adapter, by its name (`hci0`) or its address.
    ///
    /// # Errors
    /// If there is no bus, no bluetoothd or no such adapter.
    pub async fn open(name: &str) -> Result<Self, BluetoothError> {
        Ok(Self(Arc::new(BluezAdapter::open(name).await?)))
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
