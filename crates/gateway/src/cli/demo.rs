//! `riser demo`: a whole building in one process. The embedded broker is both the floor's and the cloud's; everything
//! goes over real sockets of this machine.

mod screen;

use std::collections::BTreeMap;
use std::io::IsTerminal as _;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use adapters::mqtt::config::{MqttConfig, Topic};
use gateway_core::Severity;
use gateway_core::ports::Clock as _;
use gateway_core::settings::HumanDuration;
use mqtt_link::{BrokerUrl, Event, Options, Qos, Subscriber};
use simulator::mqtt::Load;
use simulator::{Building, Fault};
use tokio_util::sync::CancellationToken;

use super::{Exit, Failure, print_line};
use crate::clock::SystemClock;
use crate::config::model::{Alert, Config, Device};
use crate::gateway::Gateway;
use screen::Screen;

const DEVICES: NonZeroUsize = NonZeroUsize::MIN.saturating_add(23);

/// Messages a second at `--speed 1`: two a device.
const RATE: f64 = 48.0;

/// How often the summary is drawn.
const FRAME: Duration = Duration::from_millis(500);

pub(crate) fn demo(speed: f64, duration: Option<Duration>) -> Result<Exit, Failure> {
    if !(speed.is_finite() && speed > 0.0 && speed <= 1000.0) {
        return Err(Failure::new(Exit::Usage, "--speed takes a number above 0 and up to 1000"));
    }
    crate::telemetry::start("error");
    let dir = tempfile::Builder::new().prefix("riser-demo-").tempdir().map_err(|error| {
        Failure::new(Exit::CannotCreate, format!("cannot create a temporary folder: {error}"))
    })?;
    super::runtime()?.block_on(show(speed, duration, dir.path()))
}

async fn show(speed: f64, duration: Option<Duration>, data_dir: &Path) -> Result<Exit, Failure> {
    let port = free_port()
        .map_err(|error| Failure::new(Exit::Unavailable, format!("no free port on 127.0.0.1: {error}")))?;
    let building = Building::mixed(DEVICES, 1);
    let config = config(port, data_dir, &building);
    let gateway = Gateway::start(&config)
        .await
        .map_err(|error| Failure::new(Exit::Software, crate::telemetry::chain(&error)))?;
    introduce(port)?;
    let stop = CancellationToken::new();
    let senders = tokio::spawn(send(port, building, RATE * speed, stop.clone()));
    let url: BrokerUrl =
        url(port).parse().map_err(|_| Failure::new(Exit::Software, "our own address is wrong"))?;
    let cloud =
        Subscriber::start(Options::new(url, "demo-cloud"), vec![("building/#".to_owned(), Qos::AtLeastOnce)]);
    let watched = watch(&gateway, cloud, duration).await;
    stop.cancel();
    if let Err(error) = senders.await {
        tracing::error!("the simulated building ended oddly: {error}");
    }
    gateway.stop().await;
    watched
}

/// 1883 where it is free, so that the line to type is short; else whatever is.
fn free_port() -> std::io::Result<u16> {
    let bind = |port| TcpListener::bind((Ipv4Addr::LOCALHOST, port));
    bind(1883).or_else(|_| bind(0))?.local_addr().map(|address| address.port())
}

fn url(port: u16) -> String {
    format!("mqtt://127.0.0.1:{port}")
}

fn introduce(port: u16) -> Result<(), Failure> {
    for line in [
        "A building of 24 devices sends over MQTT to the embedded broker; the same broker plays the cloud.",
        "Some devices misbehave. Windows are 5 s long, so the first aggregates come within 10 s. Ctrl-C ends it.",
        &format!("Look over its shoulder:  mosquitto_sub -h 127.0.0.1 -p {port} -t 'building/#' -v"),
        "",
    ] {
        print_line(line)?;
    }
    Ok(())
}

fn config(port: u16, data_dir: &Path, building: &Building) -> Config {
    let mut config = Config::default();
    config.gateway.id = Some("demo".to_owned());
    data_dir.clone_into(&mut config.gateway.data_dir);
    config.aggregate.window = HumanDuration::from_secs(5);
    config.aggregate.lateness = HumanDuration::from_secs(1);
    config.aggregate.by_zone = true;
    config.upstream = Some(upstream(port));
    config.broker = Some(broker::config::Config {
        listen: Some(SocketAddr::from((Ipv4Addr::LOCALHOST, port))),
        anonymous: true,
        ..broker::config::Config::default()
    });
    let topic = |filter: &str, format: &str| Topic {
        filter: filter.to_owned(),
        format: format.to_owned(),
        columns: Vec::new(),
    };
    let floor = MqttConfig {
        topics: vec![
            topic("sensors/data/{device}/{metric}", "value"),
            topic("sensors/{device}/telemetry", "json"),
            topic("zigbee2mqtt/{device}", "zigbee2mqtt"),
        ],
        ..MqttConfig::default()
    };
    config.adapters.mqtt = BTreeMap::from([("floor".to_owned(), floor)]);
    config.devices = building
        .places()
        .map(|(device, zone)| {
            (device.to_owned(), Device { zone: Some(zone.to_owned()), ..Device::default() })
        })
        .collect();
    let hot = Alert {
        metric: Some("temperature".to_owned()),
        above: Some(30.0),
        clear_by: 0.5,
        severity: Severity::Critical,
        ..Alert::default()
    };
    let silent = Alert {
        silent_for: Some(HumanDuration::from_secs(10)),
        severity: Severity::Warning,
        ..Alert::default()
    };
    config.alerts = BTreeMap::from([("too-hot".to_owned(), hot), ("silent".to_owned(), silent)]);
    config
}

fn upstream(port: u16) -> sinks::upstream_mqtt::config::Config {
    sinks::upstream_mqtt::config::Config { url: url(port), ..Default::default() }
}

/// Sends the building's traffic; from 8 s on, one device after the other goes wrong.
async fn send(port: u16, mut building: Building, rate: f64, stop: CancellationToken) {
    let start = SystemClock.now();
    // Devices whose kind shows the fault well: the first climate sensors, a meter, a contact.
    let faults = [
        (0, Fault::TooHot),
        (7, Fault::BadPayload),
        (2, Fault::Spike),
        (3, Fault::Silent),
        (12, Fault::Stuck),
        (15, Fault::WrongClock),
    ];
    for (turn, (device, fault)) in faults.into_iter().enumerate() {
        let after = Duration::from_secs(8 + 2 * turn as u64);
        building.fail(device, fault, start + after);
    }
    let Ok(url) = url(port).parse() else { return };
    let load = Load { rate, duration: None };
    let sent = simulator::mqtt::send(
        Options::new(url, "demo-building"),
        building,
        load,
        Arc::new(SystemClock),
        stop,
    )
    .await;
    if let Err(error) = sent {
        tracing::error!("the simulated building cannot send: {error}");
    }
}

/// Draws what the cloud gets until the time is up or Ctrl-C.
async fn watch(
    gateway: &Gateway,
    mut cloud: Subscriber,
    duration: Option<Duration>,
) -> Result<Exit, Failure> {
    let mut screen = Screen::new(std::io::stdout().is_terminal());
    let mut frame = tokio::time::interval(FRAME);
    let end = super::bounded(duration);
    tokio::pin!(end);
    loop {
        tokio::select! {
            event = cloud.recv() => match event {
                Some(Event::Message(message)) => {
                    screen.take(message.topic.as_str(), &message.payload)?;
                    message.ack.send();
                }
                Some(_) => {}
                None => break,
            },
            _ = frame.tick() => {
                if let Some(balance) = gateway.balance().await {
                    screen.draw(&balance)?;
                }
            }
            () = &mut end => break,
            _ = tokio::signal::ctrl_c() => break,
        }
    }
    screen.end()?;
    Ok(Exit::Fine)
}
