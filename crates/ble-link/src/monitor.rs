//! A passive scan: patterns that bluetoothd has the controller watch for, without sending anything itself.
//!
//! Source: BlueZ's doc/org.bluez.AdvertisementMonitor.rst, …Manager.rst; the interface is there where bluetoothd was
//! started with `--experimental`.

use tokio::sync::mpsc;
use zbus::{ObjectPath, OwnedObjectPath, fdo, interface};

use crate::link::{Link, LinkError, PATIENCE};

const MANAGER: &str = "org.bluez.AdvertisementMonitorManager1";
const ROOT: &str = "/riser/monitors";
/// The kernel takes no more patterns of one monitor.
const PATTERNS: usize = 16;
/// Devices found that are not looked at yet; more are passed over, since they are found again.
const FOUND: usize = 1_024;

/// The type of an AD structure, and the first bytes of its data.
pub type Pattern = (u8, Vec<u8>);

/// What bluetoothd tells a monitor.
#[derive(Debug)]
pub(crate) enum Told {
    /// An advertisement of this device has one of the patterns.
    Found(OwnedObjectPath),
    /// bluetoothd watches no longer.
    Released,
}

/// Registered monitors.
#[derive(Debug)]
pub(crate) struct Monitors {
    link: Link,
    root: OwnedObjectPath,
    /// How many there are.
    count: usize,
    told: mpsc::Receiver<Told>,
}

struct Monitor {
    patterns: Vec<(u8, u8, Vec<u8>)>,
    told: mpsc::Sender<Told>,
}

#[interface(name = "org.bluez.AdvertisementMonitor1")]
impl Monitor {
    fn release(&self) {
        let _ = self.told.try_send(Told::Released);
    }

    fn activate(&self) {}

    fn device_found(&self, device: ObjectPath<'_>) {
        let _ = self.told.try_send(Told::Found(device.into()));
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
    /// Has bluetoothd watch for the patterns.
    ///
    /// # Errors
    /// Where it does not offer that, or refuses.
    pub(crate) async fn register(link: &Link, patterns: &[Pattern]) -> Result<Self, LinkError> {
        let (sender, told) = mpsc::channel(FOUND);
        let root = OwnedObjectPath::try_from(ROOT).map_err(broken)?;
        let server = link.connection.object_server();
        // Told a second time it is there already.
        server.at(ROOT, fdo::ObjectManager).await.map_err(broken)?;
        for (index, patterns) in patterns.chunks(PATTERNS).enumerate() {
            let patterns = patterns.iter().map(|(kind, data)| (0, *kind, data.clone())).collect();
            let monitor = Monitor { patterns, told: sender.clone() };
            server.at(format!("{ROOT}/{index}"), monitor).await.map_err(broken)?;
        }
        let count = patterns.len().div_ceil(PATTERNS);
        let monitors = Self { link: link.clone(), root, count, told };
        if let Err(error) = monitors.call("RegisterMonitor").await {
            monitors.take_down().await;
            return Err(error);
        }
        Ok(monitors)
    }

    /// What bluetoothd tells next. May be cancelled.
    pub(crate) async fn next(&mut self) -> Told {
        self.told.recv().await.unwrap_or(Told::Released)
    }

    /// Has it watch no longer.
    pub(crate) async fn unregister(self) {
        let _ = self.call("UnregisterMonitor").await;
        self.take_down().await;
    }

    async fn take_down(&self) {
        let server = self.link.connection.object_server();
        for index in 0..self.count {
            let _ = server.remove::<Monitor, _>(format!("{ROOT}/{index}")).await;
        }
    }

    async fn call(&self, method: &'static str) -> Result<(), LinkError> {
        self.link.call(&self.link.adapter, MANAGER, method, &(&self.root,), PATIENCE).await.map(drop)
    }
}

fn broken(source: impl Into<zbus::Error>) -> LinkError {
    LinkError::Broken { call: "RegisterMonitor", source: source.into() }
}
