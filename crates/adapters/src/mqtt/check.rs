//! Checks `[adapters.mqtt.*]` and its actions: connections, topics, formats.

use codecs::check::check_format_and_columns;
use gateway_core::DeviceAddress;
use gateway_core::findings::{KeyPath, Report, one_line, quoted};
use mqtt_link::settings::LinkSettings;

use super::config::{MqttConfig, Topic};
use super::kind::Mqtt;
use super::{NetworkServer, TopicFilter};
use crate::downlink;
use crate::kind::{Action, Configured};
use crate::site::Site;

pub(super) fn check(report: &mut Report, table: &KeyPath, adapter: &MqttConfig, site: &Site<'_>) {
    check_connection(report, table, adapter, site);
    if adapter.topics.is_empty() {
        report.missing(
            table,
            "topics",
            "missing: nothing is read; write it, such as topics = [{ filter = \"sensors/{device}\", format = \"json\" }]",
        );
    }
    for (i, topic) in adapter.topics.iter().enumerate() {
        check_topic(report, &table.key("topics").index(i), topic);
    }
}

fn check_connection(report: &mut Report, table: &KeyPath, adapter: &MqttConfig, site: &Site<'_>) {
    match &adapter.url {
        Some(url) => {
            let link = LinkSettings {
                url,
                username: adapter.username.as_deref(),
                password: adapter.password.as_ref(),
                has_password_file: adapter.password_file.is_some(),
                ca_file: adapter.ca_file.as_deref(),
                cert_file: adapter.cert_file.as_deref(),
                key_file: adapter.key_file.as_deref(),
                keep_alive: adapter.keep_alive,
            };
            mqtt_link::settings::check(report, table, &link, site.now);
        }
        None if !site.has_broker && report.is_whole(&KeyPath::of("broker")) => {
            report.missing(
                table,
                "url",
                "missing, and there is no [broker] to use instead; write one of them",
            );
        }
        None => {
            if adapter.username.is_some() || adapter.password.is_some() {
                let key = if adapter.username.is_some() { "username" } else { "password" };
                let why = "is not used: without `url` the adapter uses the embedded broker";
                report.warning(&table.key(key), why);
            }
        }
    }
}

fn check_topic(report: &mut Report, table: &KeyPath, topic: &Topic) {
    let known = check_format_and_columns(report, table, &topic.format, &topic.columns);
    match TopicFilter::parse(&topic.filter) {
        Err(error) => report.error(&table.key("filter"), one_line(&error.to_string())),
        Ok(filter) if known && !filter.names_device() && !names_device_itself(topic) => {
            let filter = quoted(&topic.filter);
            report.error(
                &table.key("filter"),
                format!(
                    "nothing says which device sent a message: put {{device}} in place of a level of {filter}"
                ),
            );
        }
        Ok(_) => {}
    }
}

/// Formats whose payload says which device it is.
fn names_device_itself(topic: &Topic) -> bool {
    match topic.format.as_str() {
        "senml" | "ttn" | "chirpstack" => true,
        "csv" => topic.columns.iter().any(|column| column == "device"),
        _ => false,
    }
}

pub(super) fn check_action(
    report: &mut Report,
    action: &Action<'_, Mqtt>,
    all: &Configured<Mqtt>,
    site: &Site<'_>,
) {
    match &action.target.device {
        Some(device) => check_device(report, action, device, all, site),
        None => check_publish(report, action),
    }
}

fn check_publish(report: &mut Report, action: &Action<'_, Mqtt>) {
    let (target, path) = (&action.target, &action.path);
    for (key, written) in [("port", target.port.is_some()), ("confirmed", target.confirmed.is_some())] {
        if written {
            report.error(&path.key(key), "is for LoRaWAN devices");
        }
    }
    let Some(topic) = &target.topic else {
        report.missing(path, "topic", "missing; write the topic to publish to");
        return;
    };
    if topic.is_empty() || topic.contains(['+', '#']) || topic.contains(char::is_control) {
        let why = "is no topic to publish to; write one without +, # and control characters";
        report.error(&path.key("topic"), why);
    }
}

/// A device of a network server.
fn check_device(
    report: &mut Report,
    action: &Action<'_, Mqtt>,
    text: &str,
    all: &Configured<Mqtt>,
    site: &Site<'_>,
) {
    let key = action.path.key("device");
    if action.target.topic.is_some() {
        report.error(&action.path.key("topic"), "does not go with `device`; write one of them");
    }
    let servers = all.adapters.get(action.adapter).map(servers);
    if servers.as_ref().is_some_and(Vec::is_empty) {
        let adapter = KeyPath::of("adapters.mqtt").key(action.adapter);
        report.error(
            &key,
            format!(
                "{adapter} knows no LoRaWAN devices: none of its `topics` has format \"ttn\" or \"chirpstack\" and \
                 {{device}} in its filter; write a `topic` instead"
            ),
        );
        return;
    }
    let Some(keys) = action.downlink(site) else { return };
    check_server_address(report, &key, keys.device, &servers.unwrap_or_default());
    let device = site.find_device(text).map(|(_, device)| device);
    downlink::check(report, &action.path, &keys, device);
}

fn check_server_address(report: &mut Report, key: &KeyPath, address: &str, servers: &[NetworkServer]) {
    let is_level = !address.contains(['/', '+', '#']) && !address.contains(char::is_control);
    let by_dev_eui = !servers.is_empty() && servers.iter().all(|one| *one == NetworkServer::Chirpstack);
    if DeviceAddress::new(address).is_none() || !is_level {
        report.error(key, format!("{} is no device in a network server's topics", quoted(address)));
    } else if by_dev_eui && !DeviceAddress::is_dev_eui(address) {
        let address = quoted(address);
        report.error(
            key,
            format!("{address} is not a DevEUI, by which ChirpStack knows its devices; write 16 hex digits, or the name of a table that has them as its address"),
        );
    }
}

/// The network servers that speak through the adapter and name their devices in topics.
fn servers(adapter: &MqttConfig) -> Vec<NetworkServer> {
    let names_device =
        |topic: &&Topic| TopicFilter::parse(&topic.filter).is_ok_and(|filter| filter.names_device());
    let topics = adapter.topics.iter().filter(names_device);
    topics.filter_map(|topic| NetworkServer::of_format(&topic.format)).collect()
}
