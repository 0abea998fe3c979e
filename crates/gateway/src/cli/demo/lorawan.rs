//! The demo's LoRaWAN: the gateway's side of it, and what the simulated nodes are sent with.

use adapters::lorawan::config::{DeviceClass, LorawanConfig, LorawanDevice, RegionName};
use gateway_core::settings::Secret;
use simulator::lorawan::{Activation, Region, Registration, Target, registrations};

use super::sensors::Sensors;
use super::{Ports, local};
use crate::config::model::Device;

/// What keys are made of. No secret: whoever can reach the demo's loopback ports may take part.
const SEED: u64 = 1;

pub(super) fn adapter(ports: Ports) -> LorawanConfig {
    LorawanConfig {
        listen: local(ports.lorawan),
        region: Some(RegionName::Eu868),
        ..LorawanConfig::default()
    }
}

pub(super) fn target(ports: Ports) -> Target {
    Target {
        address: local(ports.lorawan),
        region: Region::Eu868,
        activation: Activation::Otaa,
        confirmed: false,
        seed: SEED,
    }
}

/// `[devices.*]` of the nodes.
pub(super) fn devices(sensors: &Sensors) -> impl Iterator<Item = (String, Device)> {
    // There are few, so they are not too many.
    registrations(&sensors.lorawan, SEED).unwrap_or_default().into_iter().map(device)
}

fn device(registration: Registration) -> (String, Device) {
    let Registration { name, zone, identity, codec, rename } = registration;
    let lorawan = LorawanDevice {
        dev_eui: identity.dev_eui(),
        join_eui: Some(identity.join_eui()),
        app_key: Some(Secret::new(identity.app_key())),
        app_key_file: None,
        dev_addr: None,
        nwk_skey: None,
        nwk_skey_file: None,
        app_skey: None,
        app_skey_file: None,
        fcnt_up: None,
        resets: false,
        rx_delay: None,
        class: DeviceClass::A,
    };
    let rename = rename.into_iter().map(|(codec, name)| (codec, name.to_owned())).collect();
    let device = Device {
        zone: Some(zone),
        codec: Some(codec.to_owned()),
        lorawan: Some(lorawan),
        rename,
        ..Device::default()
    };
    (name, device)
}
