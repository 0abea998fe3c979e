//! Whether there is a bluetoothd, with the adapters that the configuration names, for this user.

use std::time::Duration;

use ble_link::{Link, LinkError};
use tokio::time::timeout;

use super::super::key_path::KeyPath;
use super::super::load::Loaded;
use super::super::report::Report;

/// How long bluetoothd may take to answer.
const PATIENCE: Duration = Duration::from_secs(3);

pub(super) fn probe(report: &mut Report, loaded: &Loaded) {
    let adapters = &loaded.config.adapters.ble;
    if adapters.is_empty() {
        return;
    }
    // Without a runtime nothing else would work either; what the gateway itself says then is enough.
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else { return };
    for (name, ble) in adapters {
        let key = KeyPath::of("adapters.ble").key(name).key("adapter");
        if let Err(why) = runtime.block_on(try_out(&ble.adapter)) {
            report.warning(&key, why);
        }
    }
}

async fn try_out(adapter: &str) -> Result<(), String> {
    let tried = timeout(PATIENCE, async {
        let link = Link::open(adapter).await?;
        match link.is_powered().await? {
            true => Ok(()),
            false => Err(LinkError::Off { adapter: link.adapter_name().to_owned() }),
        }
    });
    match tried.await {
        Ok(answer) => answer.map_err(|error| error.to_string()),
        Err(_) => Err("bluetoothd does not answer".to_owned()),
    }
}
