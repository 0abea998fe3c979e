//! The demo's LoRaWAN: the gateway's side of it, and what the simulated nodes are sent with.

use adapters::lorawan::Lorawan;
use adapters::lorawan::config::{DeviceClass, DeviceKeys, LorawanConfig, LorawanDevice, RegionName};
use gateway_config::Config;
use gateway_core::settings::{Device, Secret};
use simulator::lorawan::{Activation, Region, Registration, Target, registrations};

use super::sensors::Sensors;
use super::{Ports, local};

/// What keys are made of. No secret: every program on this machine may take part.
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

/// Adds `[devices.*]` of the nodes.
pub(super) fn add_devices(config: &mut Config, sensors: &Sensors) {
    // There are few, so they are not too many.
    for registration in registrations(&sensors.lorawan, SEED).unwrap_or_default() {
        add_device(config, registration);
    }
}

fn add_device(config: &mut Config, registration: Registration) {
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
    config.adapters.insert_device::<Lorawan>(&name, DeviceKeys { lorawan: Some(lorawan) });
    let rename = rename.into_iter().map(|(codec, name)| (codec, name.to_owned())).collect();
    let device = Device { zone: Some(zone), codec: Some(codec.to_owned()), rename, ..Device::default() };
    config.devices.insert(name, device);
}
