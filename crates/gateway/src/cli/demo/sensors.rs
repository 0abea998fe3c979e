//! The demo's sensors: one building, its devices divided among the protocols, some of them faulty.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use ble_link::SimulatedRadio;
use gateway_core::ports::Clock as _;
use mqtt_link::Options;
use simulator::coap::{Key, Psk, Target};
use simulator::{Building, Fault, Load, Sent, SimulateError};
use tokio_util::sync::CancellationToken;

use super::{IDENTITY, KEY, Ports, local, lorawan, url};
use pipeline::clock::SystemClock;

/// Messages a second of each device at `--speed 1`.
const RATE: f64 = 2.0;
/// Devices from this one on speak CoAP, from the next one on over DTLS, from the last one on Bluetooth.
const FIRST_COAP: usize = 16;
const FIRST_COAPS: usize = 22;
const FIRST_BLE: usize = 23;

/// Devices by protocol.
pub(super) struct Sensors {
    pub(super) mqtt: Building,
    pub(super) coap: Building,
    pub(super) coaps: Building,
    pub(super) ble: Building,
    pub(super) lorawan: Building,
}

impl Sensors {
    pub(super) fn new(devices: NonZeroUsize) -> Self {
        let mut mqtt = Building::mixed(devices, 1);
        misbehave(&mut mqtt);
        let mut coap = mqtt.split_off(FIRST_COAP);
        let mut coaps = coap.split_off(FIRST_COAPS - FIRST_COAP);
        let ble = coaps.split_off(FIRST_BLE - FIRST_COAPS);
        Self { mqtt, coap, coaps, ble, lorawan: Building::around(1) }
    }

    /// Name and zone of every device that says its name itself.
    pub(super) fn places(&self) -> impl Iterator<Item = (&str, &str)> {
        self.mqtt.places().chain(self.coap.places()).chain(self.coaps.places())
    }

    pub(super) fn all(&mut self) -> impl Iterator<Item = &mut Building> {
        [&mut self.mqtt, &mut self.coap, &mut self.coaps, &mut self.ble, &mut self.lorawan].into_iter()
    }

    /// Name, zone and address of the Bluetooth sensors.
    pub(super) fn advertising(&self) -> impl Iterator<Item = (&str, &str, String)> {
        let places = self.ble.places().enumerate();
        places.map(|(index, (name, zone))| (name, zone, simulator::ble::address(index)))
    }

    /// Sends all protocols' traffic until `stop`.
    pub(super) async fn send(self, ports: Ports, radio: SimulatedRadio, speed: f64, stop: CancellationToken) {
        let clock = Arc::new(SystemClock);
        let load = |building: &Building| {
            let devices = u32::try_from(building.len()).unwrap_or(u32::MAX);
            Load { rate: RATE * speed * f64::from(devices), duration: None }
        };
        let Ok(url) = url(ports.mqtt).parse() else { return };
        let Ok(key) = Key::new(KEY.as_bytes().to_vec()) else { return };
        let plain = Target { address: local(ports.coap), psk: None };
        let psk = Psk { identity: IDENTITY.to_owned(), key };
        let secured = Target { address: local(ports.coaps), psk: Some(psk) };
        let nodes = lorawan::target(ports);
        let (mqtt_load, coap_load, coaps_load) = (load(&self.mqtt), load(&self.coap), load(&self.coaps));
        // As often as their receive windows let them.
        let lorawan_load = load(&self.lorawan);
        let ble_load = load(&self.ble);
        let options = Options::new(url, "demo-building");
        let (mqtt, coap, coaps, ble, lorawan) = tokio::join!(
            simulator::mqtt::send(options, self.mqtt, mqtt_load, clock.clone(), stop.clone()),
            simulator::coap::send(&plain, self.coap, coap_load, clock.clone(), stop.clone()),
            simulator::coap::send(&secured, self.coaps, coaps_load, clock.clone(), stop.clone()),
            simulator::ble::send(&radio, self.ble, ble_load, clock.clone(), stop.clone()),
            simulator::lorawan::send(&nodes, self.lorawan, lorawan_load, clock, stop),
        );
        let all = [
            ("MQTT", mqtt),
            ("CoAP", coap),
            ("CoAP over DTLS", coaps),
            ("Bluetooth", ble),
            ("LoRaWAN", lorawan),
        ];
        for (protocol, sent) in all {
            report(protocol, sent);
        }
    }
}

fn report(protocol: &str, sent: Result<Sent, SimulateError>) {
    if let Err(error) = sent {
        tracing::error!("the simulated building cannot send over {protocol}: {error}");
    }
}

/// From 8 s on, one device after the other goes wrong.
fn misbehave(building: &mut Building) {
    // Devices whose kind shows the fault well: the first climate sensors, a meter, a contact; one that speaks CoAP.
    let faults = [
        (0, Fault::TooHot),
        (7, Fault::BadPayload),
        (2, Fault::Spike),
        (3, Fault::Silent),
        (12, Fault::Stuck),
        (15, Fault::WrongClock),
        (19, Fault::BadPayload),
    ];
    let start = SystemClock.now();
    for (index, (device, fault)) in faults.into_iter().enumerate() {
        let after = Duration::from_secs(8 + 2 * index as u64);
        building.fail(device, fault, start + after);
    }
}
