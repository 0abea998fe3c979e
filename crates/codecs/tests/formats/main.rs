//! Each format by its payloads, through the public door.

mod csv;
mod json;
mod senml;
mod shelly;
mod support;
mod tasmota;
mod value;
mod zigbee2mqtt;
