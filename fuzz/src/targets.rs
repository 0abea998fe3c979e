//! The targets, a file each: what reads bytes from outside, and what must hold of it whatever the bytes.

mod ble;
mod broker_packet;
mod cayenne_lpp;
mod cbor;
mod chirpstack;
mod coap;
mod csv;
mod device_name;
mod gatt;
mod journal;
mod json;
mod lines;
mod lorawan;
mod mqtt_v4;
mod mqtt_v5;
mod node;
mod password;
mod senml;
mod settings;
mod shelly;
mod struct_codec;
mod tasmota;
mod topic_filter;
mod ttn;
mod value;
mod zigbee2mqtt;

type Target = fn(&[u8]);

/// By name, which is the file's and the corpus's.
const TARGETS: &[(&str, Target)] = &[
    ("ble", ble::run),
    ("broker_packet", broker_packet::run),
    ("cayenne_lpp", cayenne_lpp::run),
    ("cbor", cbor::run),
    ("chirpstack", chirpstack::run),
    ("coap", coap::run),
    ("csv", csv::run),
    ("device_name", device_name::run),
    ("gatt", gatt::run),
    ("journal", journal::run),
    ("json", json::run),
    ("lines", lines::run),
    ("lorawan", lorawan::run),
    ("mqtt_v4", mqtt_v4::run),
    ("mqtt_v5", mqtt_v5::run),
    ("node", node::run),
    ("password", password::run),
    ("senml", senml::run),
    ("settings", settings::run),
    ("shelly", shelly::run),
    ("struct_codec", struct_codec::run),
    ("tasmota", tasmota::run),
    ("topic_filter", topic_filter::run),
    ("ttn", ttn::run),
    ("value", value::run),
    ("zigbee2mqtt", zigbee2mqtt::run),
];

/// # Panics
/// Where no target has this name.
pub(crate) fn by_name(name: &str) -> Target {
    let found = TARGETS.iter().find(|(known, _)| *known == name);
    found.unwrap_or_else(|| panic!("`{name}` is no target of fuzz/src/targets.rs")).1
}
