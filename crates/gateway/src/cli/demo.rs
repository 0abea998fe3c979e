//! `riser demo`: a whole building in one process. The embedded broker is both the floor's and the cloud's; everything
//! goes over real sockets of this machine.

mod lorawan;
mod screen;
mod sensors;
mod yesterday;

use std::collections::BTreeMap;
use std::io::IsTerminal as _;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::num::NonZeroUsize;
use std::path::Path;
use std::time::Duration;

use adapters::ble::Ble;
use adapters::ble::config::BleConfig;
use adapters::coap::Coap;
use adapters::coap::config::{CoapConfig, Psk};
use adapters::lorawan::Lorawan;
use adapters::mqtt::Mqtt;
use adapters::mqtt::config::{MqttConfig, Topic};
use ble_link::SimulatedRadio;
use gateway_core::ports::Clock as _;
use gateway_core::settings::{HumanDuration, Secret};
use gateway_core::{Services, Severity};
use mqtt_link::{BrokerUrl, Event, Options, Qos, Subscriber};
use pipeline::clock::SystemClock;
use pipeline::training::local_history;
use tokio_util::sync::CancellationToken;

use super::{Exit, Failure, print_line};
use crate::gateway::Gateway;
use gateway_config::{Alert, Config, History, Loaded, SilentFor};
use gateway_core::settings::Device;
use gateway_http::config::Config as HttpConfig;
use screen::Screen;
use sensors::Sensors;

const DEVICES: NonZeroUsize = NonZeroUsize::MIN.saturating_add(24);

/// Of the sensors that use DTLS. No secret: every program on this machine may take part.
const IDENTITY: &str = "demo";
const KEY: &str = "demo-key-of-16-b";

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
    let ports = Ports::free()
        .map_err(|error| Failure::new(Exit::Unavailable, format!("no free port on 127.0.0.1: {error}")))?;
    let mut sensors = Sensors::new(DEVICES);
    yesterday::remember(&local_history::path(data_dir), SystemClock.now(), sensors.all())
        .map_err(|error| Failure::new(Exit::CannotCreate, gateway_core::chain(&error)))?;
    let loaded = Loaded::from(config(ports, data_dir, &sensors));
    let radio = SimulatedRadio::default();
    let services = Services::default();
    services.insert(radio.clone());
    let gateway = Gateway::start_with(&loaded, services)
        .await
        .map_err(|error| Failure::new(Exit::Software, gateway_core::chain(&error)))?;
    introduce(ports, &sensors)?;
    let stop = CancellationToken::new();
    let senders = tokio::spawn(sensors.send(ports, radio, speed, stop.clone()));
    let url: BrokerUrl =
        url(ports.mqtt).parse().map_err(|_| Failure::new(Exit::Software, "our own address is wrong"))?;
    let cloud =
        Subscriber::start(Options::new(url, "demo-cloud"), vec![("building/#".to_owned(), Qos::AtLeastOnce)]);
    let watched = watch(&gateway, cloud, duration).await;
    stop.cancel();
    if let Err(error) = senders.await {
        tracing::error!("the simulated building failed: {error}");
    }
    gateway.stop().await;
    watched
}

/// Where the gateway listens on 127.0.0.1.
#[derive(Debug, Clone, Copy)]
struct Ports {
    mqtt: u16,
    coap: u16,
    coaps: u16,
    lorawan: u16,
    http: u16,
}

impl Ports {
    /// The usual ones where they are free, so that the lines to type are short; else whichever are.
    fn free() -> std::io::Result<Self> {
        let tcp = |port| TcpListener::bind((Ipv4Addr::LOCALHOST, port));
        let udp = |port| UdpSocket::bind((Ipv4Addr::LOCALHOST, port));
        // Kept until all are found, so that no two are the same.
        let coap = udp(5683).or_else(|_| udp(0))?;
        let coaps = udp(5684).or_else(|_| udp(0))?;
        let lorawan = udp(1700).or_else(|_| udp(0))?;
        let http = tcp(8090).or_else(|_| tcp(0))?;
        Ok(Self {
            http: http.local_addr()?.port(),
            mqtt: tcp(1883).or_else(|_| tcp(0))?.local_addr()?.port(),
            coap: coap.local_addr()?.port(),
            coaps: coaps.local_addr()?.port(),
            lorawan: lorawan.local_addr()?.port(),
        })
    }
}

fn url(port: u16) -> String {
    format!("mqtt://127.0.0.1:{port}")
}

fn introduce(ports: Ports, sensors: &Sensors) -> Result<(), Failure> {
    let device = sensors.coap.places().next().map_or("lounge-0001", |(name, _)| name);
    for line in [
        "A building of 25 devices sends over MQTT to the embedded broker, over CoAP in the clear and with DTLS, and as",
        "Bluetooth sensors to a simulated radio; a water meter, a probe in the soil and a weather station join over LoRaWAN.",
        "The same broker plays the cloud.",
        "Some devices misbehave. Windows are 5 s long, so the first aggregates come within 10 s. Ctrl-C ends it.",
        &format!("Open the dashboard:      http://127.0.0.1:{}", ports.http),
        &format!("Look over its shoulder:  mosquitto_sub -h 127.0.0.1 -p {} -t 'building/#' -v", ports.mqtt),
        &format!(
            "Follow a CoAP sensor:    coap-client -s 60 coap://127.0.0.1:{}/sensors/{device}",
            ports.coap
        ),
        "",
    ] {
        print_line(line)?;
    }
    Ok(())
}

fn config(ports: Ports, data_dir: &Path, sensors: &Sensors) -> Config {
    let mut config = Config::default();
    config.gateway.id = Some("demo".to_owned());
    data_dir.clone_into(&mut config.gateway.data_dir);
    config.aggregate.window = HumanDuration::from_secs(5);
    config.aggregate.lateness = HumanDuration::from_secs(1);
    config.aggregate.by_zone = true;
    config.upstream = Some(upstream(ports.mqtt));
    config.broker = Some(broker::config::Config {
        listen: Some(local(ports.mqtt)),
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
    config.adapters.insert::<Mqtt>("floor", floor);
    config.adapters.insert::<Coap>("floor", coap(ports, sensors));
    config.adapters.insert::<Ble>("hall", BleConfig::default());
    config.adapters.insert::<Lorawan>("roof", lorawan::adapter(ports));
    config.devices = sensors
        .places()
        .map(|(device, zone)| {
            (device.to_owned(), Device { zone: Some(zone.to_owned()), ..Device::default() })
        })
        .chain(sensors.advertising().map(|(device, zone, address)| {
            let device_table =
                Device { address: Some(address), zone: Some(zone.to_owned()), ..Device::default() };
            (device.to_owned(), device_table)
        }))
        .collect();
    config.history = Some(History::default());
    config.http = Some(HttpConfig { listen: local(ports.http), ..HttpConfig::default() });
    lorawan::add_devices(&mut config, sensors);
    let hot = Alert {
        metric: Some("temperature".to_owned()),
        above: Some(30.0),
        clear_by: 0.5,
        severity: Severity::Critical,
        ..Alert::default()
    };
    let silent = Alert {
        silent_for: Some(SilentFor::After(HumanDuration::from_secs(10))),
        severity: Severity::Warning,
        ..Alert::default()
    };
    config.alerts = BTreeMap::from([("too-hot".to_owned(), hot), ("silent".to_owned(), silent)]);
    config
}

fn coap(ports: Ports, sensors: &Sensors) -> CoapConfig {
    let psk = Psk {
        key: Some(Secret::new(KEY.to_owned())),
        devices: sensors.coaps.places().map(|(name, _)| name.to_owned()).collect(),
        ..Psk::default()
    };
    CoapConfig {
        listen: Some(local(ports.coap)),
        listen_dtls: Some(local(ports.coaps)),
        psk: BTreeMap::from([(IDENTITY.to_owned(), psk)]),
        ..CoapConfig::default()
    }
}

fn local(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

fn upstream(port: u16) -> sinks::upstream::config::Config {
    sinks::upstream::config::Config { url: url(port), ..Default::default() }
}

/// Draws what the cloud gets until the time is up or Ctrl-C.
async fn watch(
    gateway: &Gateway,
    mut cloud: Subscriber,
    duration: Option<Duration>,
) -> Result<Exit, Failure> {
    let mut screen = Screen::new(std::io::stdout().is_terminal());
    let mut frame = tokio::time::interval(FRAME);
    let end = bounded(duration);
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

/// Waits for so long; without an end where none is given.
async fn bounded(duration: Option<Duration>) {
    match duration {
        Some(duration) => tokio::time::sleep(duration).await,
        None => std::future::pending().await,
    }
}
