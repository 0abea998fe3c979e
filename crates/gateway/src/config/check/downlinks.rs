//! Actions that go to LoRaWAN devices: to those that Riser hears itself, and to those of a network server.

use ::adapters::mqtt::config::{MqttConfig, Topic};
use ::adapters::mqtt::{NetworkServer, TopicFilter};
use codecs::Codec;
use codecs::javascript::Engine;
use gateway_core::DeviceAddress;
use gateway_core::suggest::did_you_mean;
use lorawan_link::Eui;

use crate::codec_file;
use crate::config::action::{Content, find_device, has_dev_eui};
use crate::config::key_path::{KeyPath, quoted};
use crate::config::model::{Action, Config};
use crate::config::report::Report;
use pipeline::deliver::encoding::{Downlink, EncodeError, Encoder};

/// What any region's fastest data rate carries (RP002).
const LONGEST_PAYLOAD: usize = 242;

/// An action through `[adapters.lorawan.*]`.
pub(super) fn check_ours(report: &mut Report, table: &KeyPath, action: &Action, config: &Config) {
    refuse_others(
        report,
        table,
        action,
        "is not for LoRaWAN adapters; this one sends to a `device` and `port`",
    );
    match &action.device {
        Some(said) => check_ours_exists(report, &table.key("device"), said, config),
        None => {
            report.missing(table, "device", "missing; write the name of a device that has `lorawan`");
            return;
        }
    }
    check_content(report, table, action, config, false);
}

/// An action with a `device` through `[adapters.mqtt.*]`.
pub(super) fn check_servers(
    report: &mut Report,
    table: &KeyPath,
    action: &Action,
    said: &str,
    config: &Config,
) {
    refuse_others(report, table, action, "does not go with `device`; write one of them");
    let (key, name) = (table.key("device"), action.adapter.trim_start_matches("mqtt."));
    let servers = config.adapters.mqtt.get(name).map(servers);
    if servers.as_ref().is_some_and(Vec::is_empty) {
        let adapter = KeyPath::of("adapters.mqtt").key(name);
        report.error(
            &key,
            format!(
                "{adapter} knows no LoRaWAN devices: none of its `topics` has format \"ttn\" or \"chirpstack\" and \
                 {{device}} in its filter; write a `topic` instead"
            ),
        );
        return;
    }
    let address = find_device(config, said).and_then(|(_, device)| device.address.as_deref()).unwrap_or(said);
    let is_level = !address.contains(['/', '+', '#']) && !address.contains(char::is_control);
    let by_dev_eui =
        servers.is_some_and(|servers| servers.iter().all(|one| *one == NetworkServer::Chirpstack));
    if DeviceAddress::new(address).is_none() || !is_level {
        report.error(&key, format!("{} is no device in a network server's topics", quoted(address)));
    } else if by_dev_eui && (address.len() != 16 || address.parse::<Eui>().is_err()) {
        let address = quoted(address);
        report.error(
            &key,
            format!("{address} is no DevEUI, by which ChirpStack knows its devices; write 16 hex digits, or the name of a table that has them as its address"),
        );
    }
    check_content(report, table, action, config, true);
}

/// The network servers that speak through the adapter and name their devices in topics.
fn servers(adapter: &MqttConfig) -> Vec<NetworkServer> {
    let names_device =
        |topic: &&Topic| TopicFilter::parse(&topic.filter).is_ok_and(|filter| filter.names_device());
    let topics = adapter.topics.iter().filter(names_device);
    topics.filter_map(|topic| NetworkServer::of_format(&topic.format)).collect()
}

fn refuse_others(report: &mut Report, table: &KeyPath, action: &Action, why: &str) {
    let of_others = [
        ("topic", action.topic.is_some()),
        ("url", action.url.is_some()),
        ("method", action.method.is_some()),
        ("format", action.format.is_some()),
    ];
    for (key, _) in of_others.into_iter().filter(|(_, written)| *written) {
        report.error(&table.key(key), why);
    }
}

fn check_ours_exists(report: &mut Report, key: &KeyPath, said: &str, config: &Config) {
    let devices = || config.devices.iter().filter(|(_, device)| device.lorawan.is_some());
    let is_there = devices().any(|(name, device)| name == said || has_dev_eui(device, said));
    if !is_there && report.is_whole(&KeyPath::of("devices")) {
        let meant = did_you_mean(said, devices().map(|(name, _)| name.as_str()));
        report.error(key, format!("{} is no device with `lorawan`{meant}", quoted(said)));
    }
}

fn check_content(report: &mut Report, table: &KeyPath, action: &Action, config: &Config, by_server: bool) {
    match action.content() {
        Some(Content::Bytes(bytes)) => {
            check_length(report, table, bytes.len());
            if action.port.is_none() {
                no_port(report, table);
            }
        }
        Some(Content::Object(object)) => {
            let device = action.device.as_deref().and_then(|said| find_device(config, said));
            let Some(codec) = codec_of(device.and_then(|(_, device)| device.codec.as_deref())) else {
                return;
            };
            let downlink = Downlink {
                device: action.device.clone().unwrap_or_default(),
                port: action.port,
                confirmed: action.confirmed.unwrap_or_default(),
                object: object.into(),
                encoder: Encoder { codec, by_server },
            };
            try_out(report, table, downlink);
        }
        None => report.error(
            &table.key("payload"),
            "write hex: and an even number of hex digits, or a JSON object for the device's encoder",
        ),
    }
}

/// The codec, where it is one in a file; the outer `None` where that is broken, which is told elsewhere.
fn codec_of(name: Option<&str>) -> Option<Option<std::sync::Arc<Codec>>> {
    match name.filter(|name| Codec::is_file(name)) {
        Some(file) => codec_file::load(file, &Engine::default()).ok().map(|codec| Some(codec.into())),
        None => Some(None),
    }
}

/// The object goes through the encoder once: what that refuses now it would refuse when the alert is raised.
fn try_out(report: &mut Report, table: &KeyPath, downlink: Downlink) {
    match downlink.try_out() {
        Ok((_, payload)) => check_length(report, table, payload.len()),
        Err(EncodeError::NoPort) => no_port(report, table),
        Err(error) => {
            let text = gateway_core::chain(&error).replace(char::is_control, "\u{fffd}");
            report.error(&table.key("payload"), text);
        }
    }
}

fn no_port(report: &mut Report, table: &KeyPath) {
    if report.is_whole(&table.key("port")) {
        report.missing(table, "port", "missing; write the device's port for commands, 1 to 223");
    }
}

fn check_length(report: &mut Report, table: &KeyPath, bytes: usize) {
    if bytes > LONGEST_PAYLOAD {
        let text =
            format!("is {bytes} bytes for the device; a LoRaWAN frame carries at most {LONGEST_PAYLOAD}");
        report.error(&table.key("payload"), text);
    }
}
