//! A simulated bluetoothd with one device, on a private bus.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

use tokio::sync::mpsc;
use zbus::fdo::ObjectManager;
use zbus::{Connection, DBusError, OwnedObjectPath, OwnedVariant, connection, interface};

use crate::adapter::BluetoothAdapter;
use crate::bluez::BluezAdapter;

pub(super) const ADDRESS: &str = "A4:C1:38:0A:0B:0C";
const ADAPTER: &str = "/org/bluez/hci0";
const DEVICE: &str = "/org/bluez/hci0/dev_A4_C1_38_0A_0B_0C";
const BUS: &str = "<busconfig><type>session</type><listen>unix:dir=FOLDER</listen><policy context='default'>\
<allow send_destination='*'/><allow receive_sender='*'/><allow own='*'/></policy></busconfig>";

/// How the device answers calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Behaviour {
    Answers,
    /// With this error and text.
    Refuses(&'static str, &'static str),
    Hangs,
}

#[derive(Debug, DBusError)]
#[zbus(prefix = "org.bluez.Error")]
enum Refusal {
    #[zbus(error)]
    ZBus(zbus::Error),
    InProgress(String),
    NotPermitted(String),
    Failed(String),
}

impl Behaviour {
    async fn answer(self) -> Result<(), Refusal> {
        match self {
            Self::Answers => Ok(()),
            Self::Refuses("InProgress", text) => Err(Refusal::InProgress(text.to_owned())),
            Self::Refuses("NotPermitted", text) => Err(Refusal::NotPermitted(text.to_owned())),
            Self::Refuses(_, text) => Err(Refusal::Failed(text.to_owned())),
            Self::Hangs => std::future::pending().await,
        }
    }
}

struct Device {
    connect: Behaviour,
    connected: bool,
    resolved: bool,
    calls: mpsc::UnboundedSender<String>,
}

#[interface(name = "org.bluez.Device1")]
impl Device {
    async fn connect(&self) -> Result<(), Refusal> {
        let _ = self.calls.send("Connect".to_owned());
        self.connect.answer().await
    }

    fn disconnect(&self) {
        let _ = self.calls.send("Disconnect".to_owned());
    }

    #[zbus(property)]
    fn address(&self) -> &str {
        ADDRESS
    }

    #[zbus(property)]
    fn connected(&self) -> bool {
        self.connected
    }

    #[zbus(property)]
    fn services_resolved(&self) -> bool {
        self.resolved
    }
}

struct Service(&'static str);

#[interface(name = "org.bluez.GattService1")]
impl Service {
    #[zbus(property, name = "UUID")]
    fn uuid(&self) -> String {
        format!("0000{}-0000-1000-8000-00805f9b34fb", self.0)
    }
}

struct Characteristic {
    uuid: &'static str,
    service: &'static str,
    flags: &'static [&'static str],
    value: Vec<u8>,
    behaviour: Arc<Mutex<Behaviour>>,
    calls: mpsc::UnboundedSender<String>,
}

type Options = std::collections::HashMap<String, OwnedVariant>;

#[interface(name = "org.bluez.GattCharacteristic1")]
impl Characteristic {
    /// Like bluetoothd, reports the value as a property too, before it answers.
    async fn read_value(
        &self,
        _options: Options,
        #[zbus(signal_emitter)] emitter: zbus::object_server::SignalEmitter<'_>,
    ) -> Result<Vec<u8>, Refusal> {
        let behaviour = *self.behaviour.lock().unwrap();
        behaviour.answer().await?;
        self.value_changed(&emitter).await.unwrap();
        Ok(self.value.clone())
    }

    async fn write_value(&self, value: Vec<u8>, options: Options) -> Result<(), Refusal> {
        let kind = options["type"].downcast_ref::<&str>().unwrap();
        let _ = self.calls.send(format!("WriteValue {} {value:?} {kind}", self.uuid));
        let behaviour = *self.behaviour.lock().unwrap();
        behaviour.answer().await
    }

    async fn start_notify(&self) -> Result<(), Refusal> {
        let behaviour = *self.behaviour.lock().unwrap();
        behaviour.answer().await
    }

    #[zbus(property, name = "UUID")]
    fn uuid(&self) -> String {
        let long = format!("0000{}-0000-1000-8000-00805f9b34fb", self.uuid);
        if self.uuid.len() == 4 { long } else { self.uuid.to_owned() }
    }

    #[zbus(property)]
    fn service(&self) -> OwnedObjectPath {
        path(self.service)
    }

    #[zbus(property)]
    fn flags(&self) -> Vec<&str> {
        self.flags.to_vec()
    }

    #[zbus(property)]
    fn value(&self) -> Vec<u8> {
        self.value.clone()
    }
}

/// The characteristics of the device: path below it, UUID, what can be done with them.
const CHARACTERISTICS: [(&str, &str, &str, &[&str]); 6] = [
    ("service000a", "service000a/char000b", "2a6e", &["read", "notify"]),
    ("service000a", "service000a/char000e", "2a6e", &["read"]),
    ("service000a", "service000a/char0010", "2a6f", &["read", "indicate"]),
    ("service0020", "service0020/char0021", "2a56", &["write", "write-without-response"]),
    ("service0020", "service0020/char0023", "2a19", &["read"]),
    (
        "service0020",
        "service0020/char0025",
        "ef090080-11d6-42ba-93b8-9dd7ec090aa9",
        &["write-without-response"],
    ),
];

pub(super) struct Bluez {
    daemon: Child,
    server: Connection,
    address: String,
    behaviour: Arc<Mutex<Behaviour>>,
    calls: mpsc::UnboundedReceiver<String>,
    _folder: tempfile::TempDir,
}

impl Bluez {
    pub(super) async fn start() -> Self {
        Self::with(Behaviour::Answers, false).await
    }

    /// With a device that answers `Connect` as given and may discover its services later.
    pub(super) async fn with(connect: Behaviour, is_slow: bool) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("bus.conf");
        std::fs::write(&config, BUS.replace("FOLDER", folder.path().to_str().unwrap())).unwrap();
        let mut daemon = Command::new("dbus-daemon")
            .arg("--nofork")
            .arg("--print-address")
            .arg(format!("--config-file={}", config.display()))
            .stdout(Stdio::piped())
            // It cannot raise limits that it does not need.
            .stderr(Stdio::null())
            .spawn()
            .expect("dbus-daemon: apt install dbus");
        let mut address = String::new();
        BufReader::new(daemon.stdout.take().unwrap()).read_line(&mut address).unwrap();
        let address = address.trim().to_owned();
        let (calls_to, calls) = mpsc::unbounded_channel();
        let behaviour = Arc::new(Mutex::new(Behaviour::Answers));
        let server = serve(&address, connect, is_slow, &behaviour, &calls_to).await.unwrap();
        Self { daemon, server, address, behaviour, calls, _folder: folder }
    }

    pub(super) async fn adapter(&self) -> BluetoothAdapter {
        let connection = connection::Builder::address(&*self.address).build().await.unwrap();
        let owner = self.server.unique_name().unwrap().clone();
        let path = ADAPTER.try_into().unwrap();
        BluetoothAdapter(Arc::new(BluezAdapter { connection, owner, path }))
    }

    /// How characteristics answer from now on.
    pub(super) fn behaviour(&self, behaviour: Behaviour) {
        *self.behaviour.lock().unwrap() = behaviour;
    }

    /// The next call that changes something.
    pub(super) async fn call(&mut self) -> String {
        self.calls.recv().await.unwrap()
    }

    /// A characteristic has this value now, and says so as bluetoothd does when the device notifies.
    pub(super) async fn value(&self, characteristic: &str, value: &[u8]) {
        let server = self.server.object_server();
        let interface = server.interface::<_, Characteristic>(below(characteristic)).await.unwrap();
        interface.get_mut().await.value = value.to_vec();
        interface.get().await.value_changed(interface.signal_emitter()).await.unwrap();
    }

    pub(super) async fn resolved(&self) {
        let device = self.server.object_server().interface::<_, Device>(DEVICE).await.unwrap();
        device.get_mut().await.resolved = true;
        device.get().await.services_resolved_changed(device.signal_emitter()).await.unwrap();
    }

    pub(super) async fn disconnected(&self) {
        let device = self.server.object_server().interface::<_, Device>(DEVICE).await.unwrap();
        device.get_mut().await.connected = false;
        device.get().await.connected_changed(device.signal_emitter()).await.unwrap();
    }

    pub(super) async fn removed(&self) {
        self.server.object_server().remove::<Device, _>(DEVICE).await.unwrap();
    }

    /// bluetoothd ends.
    pub(super) async fn end(&self) {
        self.server.clone().close().await.unwrap();
    }
}

impl Drop for Bluez {
    fn drop(&mut self) {
        let _ = self.daemon.kill();
        let _ = self.daemon.wait();
    }
}

async fn serve(
    address: &str,
    connect: Behaviour,
    is_slow: bool,
    behaviour: &Arc<Mutex<Behaviour>>,
    calls: &mpsc::UnboundedSender<String>,
) -> zbus::Result<Connection> {
    let device = Device { connect, connected: true, resolved: !is_slow, calls: calls.clone() };
    let mut builder = connection::Builder::address(address)
        .serve_at("/", ObjectManager)
        .serve_at(DEVICE, device)
        .serve_at(below("service000a"), Service("181a"))
        .serve_at(below("service0020"), Service("1815"));
    for (service, at, uuid, flags) in CHARACTERISTICS {
        let (behaviour, calls) = (Arc::clone(behaviour), calls.clone());
        let characteristic = Characteristic { uuid, service, flags, value: vec![1, 2], behaviour, calls };
        builder = builder.serve_at(below(at), characteristic);
    }
    builder.name("org.bluez").build().await
}

fn below(part: &str) -> String {
    format!("{DEVICE}/{part}")
}

fn path(part: &str) -> OwnedObjectPath {
    below(part).try_into().unwrap()
}
