//! A broker on free ports in a folder of its own, and mosquitto's clients to talk to it.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::{Output, Stdio};
use std::sync::Arc;
use std::time::Duration;

use broker::{Broker, BrokerError, Limits, PasswordSource, Settings, Tap, User};
use gateway_core::{Condition, Timestamp};
use testkit::clock::ManualClock;
use tokio::io::AsyncWriteExt;
use tokio::process::{Child, Command};

pub(crate) fn free() -> Option<SocketAddr> {
    Some((Ipv4Addr::LOCALHOST, 0).into())
}

/// One plain listener for anonymous clients.
pub(crate) fn settings(folder: &Path) -> Settings {
    Settings {
        listen: free(),
        websocket: None,
        socket: None,
        tls: None,
        anonymous: true,
        anonymous_publish: None,
        anonymous_subscribe: None,
        user_from_certificate: false,
        users: Vec::new(),
        data_dir: folder.to_owned(),
        sync_every: Duration::from_secs(1),
        limits: Limits::default(),
        bridges: Vec::new(),
    }
}

/// Starts it without watching its condition.
pub(crate) async fn start(settings: Settings, tap: Tap) -> Result<Broker, BrokerError> {
    Broker::start(settings, tap, condition(), clock()).await
}

pub(crate) fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::new(Timestamp::EPOCH))
}

pub(crate) fn condition() -> Condition {
    Condition::new(clock())
}

pub(crate) fn user(name: &str, password: &str, publish: &[&str], subscribe: &[&str]) -> User {
    let owned = |filters: &[&str]| filters.iter().map(|&filter| filter.to_owned()).collect();
    User {
        name: name.to_owned(),
        password: PasswordSource::from_text(password).unwrap(),
        publish: owned(publish),
        subscribe: owned(subscribe),
    }
}

pub(crate) fn port(broker: &Broker, protocol: &str) -> u16 {
    broker.addresses().iter().find(|(name, _)| *name == protocol).unwrap().1.port()
}

fn client(program: &str, port: u16, arguments: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(["-h", "127.0.0.1", "-p", &port.to_string()]).args(arguments);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    command
}

fn missing(program: &str) -> ! {
    panic!("cannot start {program}: apt-get install mosquitto-clients")
}

/// Runs `mosquitto_pub` to its end.
pub(crate) async fn publish(port: u16, arguments: &[&str]) -> Output {
    client("mosquitto_pub", port, arguments).output().await.unwrap_or_else(|_| missing("mosquitto_pub"))
}

/// Runs `mosquitto_pub` with one message for each line.
pub(crate) async fn publish_lines(port: u16, arguments: &[&str], lines: &str) -> Output {
    let mut child = client("mosquitto_pub", port, &[arguments, &["-l"]].concat())
        .stdin(Stdio::piped())
        .spawn()
        .unwrap_or_else(|_| missing("mosquitto_pub"));
    let mut input = child.stdin.take().unwrap();
    input.write_all(lines.as_bytes()).await.unwrap();
    drop(input);
    child.wait_with_output().await.unwrap()
}

/// Runs `mosquitto_sub` to its end; give it `-C` or `-W`.
pub(crate) async fn subscribe(port: u16, arguments: &[&str]) -> Output {
    client("mosquitto_sub", port, arguments).output().await.unwrap_or_else(|_| missing("mosquitto_sub"))
}

/// Starts `mosquitto_sub`.
pub(crate) fn subscriber(port: u16, arguments: &[&str]) -> Child {
    client("mosquitto_sub", port, arguments).spawn().unwrap_or_else(|_| missing("mosquitto_sub"))
}

pub(crate) fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

pub(crate) fn said(output: &Output) -> String {
    stdout(output) + &String::from_utf8_lossy(&output.stderr)
}

/// Whether a message makes it from a publisher to a subscriber: the broker is alive.
pub(crate) async fn works(port: u16) -> bool {
    let sent = publish(port, &["-t", "works", "-m", "yes", "-q", "1", "-r"]).await;
    let got = subscribe(port, &["-t", "works", "-C", "1", "-W", "5"]).await;
    sent.status.success() && stdout(&got) == "yes\n"
}

/// Waits until the condition holds, for 30 s at most.
#[track_caller]
pub(crate) fn eventually(mut condition: impl AsyncFnMut() -> bool) -> impl Future<Output = ()> {
    let caller = std::panic::Location::caller();
    async move {
        let holds = async {
            while !condition().await {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        if tokio::time::timeout(Duration::from_secs(30), holds).await.is_err() {
            panic!("the condition awaited at {caller} did not become true");
        }
    }
}
