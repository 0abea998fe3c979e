//! The way to the radio through btleplug: on systems other than Linux, and on Linux for those who choose it.
//!
//! Every call has a time limit here. The events of the library wait in a queue without a bound, so sessions read them
//! continuously.

mod gatt;
mod session;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use btleplug::api::{Central as _, CentralState, Manager as _, Peripheral as _};
use btleplug::platform::{Manager, Peripheral};
use tokio::runtime::Handle;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use crate::adapter::BluetoothAdapter;
use crate::backend::{Adapter, Connected, Session};
use crate::error::{BluetoothError, CALL_TIMEOUT};
use crate::gatt::GattError;
use crate::radio::RadioOptions;
use crate::scan_result::ScanResult;
use session::BtleplugSession;

/// One Bluetooth adapter. Clones share one connection.
#[derive(Debug, Clone)]
pub(crate) struct BtleplugAdapter {
    name: String,
    central: btleplug::platform::Adapter,
}

impl BtleplugAdapter {
    /// Finds the adapter, by its name or its address.
    pub(crate) async fn open(wanted: &str) -> Result<Self, BluetoothError> {
        // The library blocks while it connects to the bus.
        let runtime = Handle::current();
        let connecting = spawn_blocking(move || runtime.block_on(Manager::new()));
        let manager = timeout(CALL_TIMEOUT, connecting)
            .await
            .map_err(|_| BluetoothError::Timeout { call: "the system bus" })?
            .map_err(|error| BluetoothError::NoBus { source: error.into() })?
            .map_err(|error| BluetoothError::NoBus { source: error.into() })?;
        let centrals = limited("the list of adapters", manager.adapters()).await?;
        let mut names = Vec::new();
        for (number, central) in centrals.into_iter().enumerate() {
            let address = limited("its address", central.adapter_address()).await?;
            let address = address.map(|address| address.to_string()).unwrap_or_default();
            let name = name(number, &limited("its name", central.adapter_info()).await?);
            if name == wanted || address.eq_ignore_ascii_case(wanted) {
                return Ok(Self { name, central });
            }
            names.push(format!("{name} ({address})"));
        }
        names.sort_unstable();
        let available = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
        Err(BluetoothError::NoAdapter { wanted: wanted.to_owned(), available })
    }
}

/// On Linux the library says `hci0 (usb:v1D6Bp0246d0542)`. Elsewhere adapters have no names, so they are numbered.
fn name(number: usize, info: &str) -> String {
    let name = info.split(' ').next().filter(|_| cfg!(target_os = "linux"));
    name.map_or_else(|| format!("hci{number}"), str::to_owned)
}

#[async_trait]
impl Adapter for BtleplugAdapter {
    fn name(&self) -> &str {
        &self.name
    }

    async fn is_powered(&self) -> Result<bool, BluetoothError> {
        let state = limited("its state", self.central.adapter_state()).await?;
        Ok(state != CentralState::PoweredOff)
    }

    async fn session(
        &self,
        options: &RadioOptions,
    ) -> Result<(Box<dyn Session>, Vec<ScanResult>), BluetoothError> {
        let (session, results) = BtleplugSession::start(self.clone(), options.scan).await?;
        Ok((Box::new(session), results))
    }

    /// The same connection: some systems know devices only where they were discovered.
    async fn for_connections(&self) -> Result<BluetoothAdapter, BluetoothError> {
        Ok(BluetoothAdapter(Arc::new(self.clone())))
    }

    async fn connect(&self, address: &str) -> Result<Connected, GattError> {
        gatt::connect(self, address).await
    }
}

/// A device's address in upper case; where the system hides it, as macOS does, the system's id of the device.
fn address(peripheral: &Peripheral) -> String {
    match peripheral.address() {
        address if address == btleplug::api::BDAddr::default() => {
            peripheral.id().to_string().to_ascii_uppercase()
        }
        address => address.to_string().to_ascii_uppercase(),
    }
}

/// Runs a call that does not wait for a device.
async fn limited<T>(
    call: &'static str,
    calling: impl Future<Output = btleplug::Result<T>>,
) -> Result<T, BluetoothError> {
    within(CALL_TIMEOUT, call, calling).await
}

async fn within<T>(
    limit: Duration,
    call: &'static str,
    calling: impl Future<Output = btleplug::Result<T>>,
) -> Result<T, BluetoothError> {
    let answer = timeout(limit, calling).await.map_err(|_| BluetoothError::Timeout { call })?;
    answer.map_err(|error| call_error(call, error))
}

fn call_error(call: &'static str, error: btleplug::Error) -> BluetoothError {
    match error {
        btleplug::Error::PermissionDenied => BluetoothError::NotAllowed { source: error.into() },
        btleplug::Error::TimedOut(_) => BluetoothError::Timeout { call },
        #[cfg(target_os = "linux")]
        btleplug::Error::Other(cause) => match cause.downcast_ref() {
            Some(bluez_async::BluetoothError::DbusError(error)) => dbus_error(call, error),
            _ => BluetoothError::Refused { call, name: String::new(), reason: cause.to_string() },
        },
        error => BluetoothError::Refused { call, name: String::new(), reason: error.to_string() },
    }
}

#[cfg(target_os = "linux")]
fn dbus_error(call: &'static str, error: &dbus::Error) -> BluetoothError {
    let (name, reason) = (error.name().unwrap_or_default(), error.message().unwrap_or_default());
    match name.strip_prefix("org.freedesktop.DBus.Error.").unwrap_or_default() {
        "AccessDenied" | "AuthFailed" => BluetoothError::NotAllowed { source: reason.into() },
        "NoReply" | "Timeout" | "TimedOut" => BluetoothError::Timeout { call },
        "ServiceUnknown" | "NameHasNoOwner" => BluetoothError::NoBluez,
        // What libdbus says where the connection is closed.
        "Disconnected" | "Failed" => BluetoothError::BusClosed,
        _ => BluetoothError::Refused { call, name: name.to_owned(), reason: reason.to_owned() },
    }
}
