//! Whether there is a bluetoothd with an adapter of that name, for this user.

use std::time::Duration;

use ble_link::{BluetoothAdapter, BluetoothError};
use gateway_core::findings::{KeyPath, Report};
use tokio::time::timeout;

/// How long bluetoothd may take to answer.
const PROBE_TIMEOUT: Duration = Duration::from_secs(3);

pub(super) fn probe(report: &mut Report, key: &KeyPath, adapter: &str) {
    // Without a runtime the gateway itself cannot start, and reports that.
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else { return };
    if let Err(why) = runtime.block_on(try_adapter(adapter)) {
        report.warning(key, why);
    }
}

async fn try_adapter(adapter: &str) -> Result<(), String> {
    let tried = timeout(PROBE_TIMEOUT, async {
        let bluetooth = BluetoothAdapter::open(adapter).await?;
        match bluetooth.is_powered().await? {
            true => Ok(()),
            false => Err(BluetoothError::PoweredOff { adapter: bluetooth.name().to_owned() }),
        }
    });
    match tried.await {
        Ok(answer) => answer.map_err(|error| error.to_string()),
        Err(_) => Err("bluetoothd does not answer".to_owned()),
    }
}
