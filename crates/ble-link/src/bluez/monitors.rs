//! Passive scanning: bluetoothd lets the controller watch for patterns in advertisements, without sending scan requests.
//!
//! Source: BlueZ's doc/org.bluez.AdvertisementMonitor.rst and doc/org.bluez.AdvertisementMonitorManager.rst. bluetoothd
//! offers the interface only when it was started with `--experimental`.

use tokio::sync::mpsc;
use zbus::{ObjectPath, OwnedObjectPath, fdo, interface};

use super::BluezAdapter;
use crate::error::{BluetoothError, CALL_TIMEOUT};
use crate::radio::Pattern;

const MANAGER: &str = "org.bluez.AdvertisementMonitorManager1";
const ROOT_PATH: &str = "/riser/monitors";
/// The kernel's limit of patterns per monitor.
const MAX_PATTERNS: usize = 16;
/// Devices found and not handled yet. Further ones are ignored, because they are found again.
const MAX_PENDING: usize = 1_024;

/// What bluetoothd reports to a monitor.
#[derive(Debug)]
pub(crate) enum MonitorEvent {
    /// An advertisement of this device matches a pattern.
    DeviceFound(OwnedObjectPath),
    /// bluetoothd has stopped watching.
    Released,
}

/// The monitors registered with bluetoothd.
#[derive(Debug)]
pub(crate) struct Monitors {
    adapter: BluezAdapter,
    root: OwnedObjectPath,
    count: usize,
    events: mpsc::Receiver<MonitorEvent>,
}

struct Monitor {
    patterns: Vec<(u8, u8, Vec<u8>)>,
    events: mpsc::Sender<MonitorEvent>,
}

#[interface(name = "org.bluez.AdvertisementMonitor1")]
impl Monitor {
    fn release(&self) {
        let _ = self.events.try_send(MonitorEvent::Released);
    }

    fn activate(&self) {}

    fn device_found(&self, device: ObjectPath<'_>) {
        let _ = self.events.try_send(MonitorEvent::DeviceFound(device.into()));
    }

    fn device_lost(&self, _device: ObjectPath<'_>) {}

    #[zbus(property)]
    fn r#type(&self) -> &'static str {
        "or_patterns"
    }

    #[zbus(property)]
    fn patterns(&self) -> Vec<(u8, u8, Vec<u8>)> {
        self.patterns.clone()
    }
}

impl Monitors {
    /// Registers monitors for the patterns.
    ///
    /// # Errors
    /// If bluetoothd does not offer monitors, or refuses them.
    pub(crate) async fn register(
        adapter: &BluezAdapter,
        patterns: &[Pattern],
    ) -> Result<Self, BluetoothError> {
        let (sender, events) = mpsc::channel(MAX_PENDING);
        let root = OwnedObjectPath::try_from(ROOT_PATH).map_err(dbus_error)?;
        let server = adapter.connection.object_server();
        // Fails harmlessly if the object is there already.
        server.at(ROOT_PATH, fdo::ObjectManager).await.map_err(dbus_error)?;
        for (index, patterns) in patterns.chunks(MAX_PATTERNS).enumerate() {
            let patterns = patterns.iter().map(|(kind, data)| (0, *kind, data.clone())).collect();
            let monitor = Monitor { patterns, events: sender.clone() };
            server.at(format!("{ROOT_PATH}/{index}"), monitor).await.map_err(dbus_error)?;
        }
        let count = patterns.len().div_ceil(MAX_PATTERNS);
        let monitors = Self { adapter: adapter.clone(), root, count, events };
        if let Err(error) = monitors.call("RegisterMonitor").await {
            // bluetoothd may have them without having answered in time. It would refuse them the next time as present.
            monitors.unregister().await;
            return Err(error);
        }
        Ok(monitors)
    }

    /// The next event. Cancel safe.
    pub(crate) async fn next(&mut self) -> MonitorEvent {
        self.events.recv().await.unwrap_or(MonitorEvent::Released)
    }

    pub(crate) async fn unregister(self) {
        let _ = self.call("UnregisterMonitor").await;
        self.remove_objects().await;
    }

    async fn remove_objects(&self) {
        let server = self.adapter.connection.object_server();
        for index in 0..self.count {
            let _ = server.remove::<Monitor, _>(format!("{ROOT_PATH}/{index}")).await;
        }
    }

    async fn call(&self, method: &'static str) -> Result<(), BluetoothError> {
        self.adapter.call(&self.adapter.path, MANAGER, method, &(&self.root,), CALL_TIMEOUT).await.map(drop)
    }
}

fn dbus_error(source: impl Into<zbus::Error>) -> BluetoothError {
    super::dbus_error("RegisterMonitor", source)
}
