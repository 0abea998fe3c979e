//! `[adapters.mqtt.*]` as a kind of adapter.

use std::fmt;

use gateway_core::AdapterId;
use gateway_core::files::Files;
use gateway_core::findings::{KeyPath, Report};
use gateway_core::ports::{Message, Target};
use gateway_core::settings::{BuildError, TableType};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::config::{MqttConfig, Topic};
use super::{build, check};
use crate::downlink::{self, DownlinkKeys, DownlinkTarget};
use crate::kind::{
    Action, AdapterKind, Blueprint, BuildContext, Configured, Example, NoKeys, Order, OrderMessage,
};
use crate::site::Site;

/// Devices behind an MQTT broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mqtt;

/// Where an action goes: to a topic, or to a device of a network server.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TargetKeys {
    /// MQTT: the topic.
    #[schemars(example = &"zigbee2mqtt/hvac_zone_1/set")]
    pub topic: Option<String>,
    /// MQTT: the LoRaWAN device of a network server, by the name of its table, its DevEUI, or its name in the server's
    /// topics.
    #[schemars(example = &"lounge")]
    pub device: Option<String>,
    /// LoRaWAN: the device's port. Default: the one that its codec's `encodeDownlink` returns.
    #[schemars(range(min = 1, max = 223), example = &10)]
    pub port: Option<u8>,
    /// LoRaWAN: whether the device must confirm it. Default: `false`.
    #[schemars(example = &false)]
    pub confirmed: Option<bool>,
}

/// Where a command goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MqttTarget {
    /// The topic to publish to.
    Topic(String),
    /// A LoRaWAN device of a network server.
    Device(DownlinkTarget),
}

impl fmt::Display for MqttTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Topic(topic) => f.write_str(topic),
            Self::Device(device) => device.fmt(f),
        }
    }
}

impl MqttTarget {
    fn of_device(target: DownlinkTarget) -> Target {
        Target::new(Self::Device(target))
    }
}

impl AdapterKind for Mqtt {
    const NAME: &'static str = "mqtt";
    const LABEL: &'static str = "MQTT";
    const DOC: &'static str =
        "Devices behind an MQTT broker, Riser's own or another. The name is yours: `[adapters.mqtt.floor]`.";
    const TARGET: &'static str = "sends to a `topic`, or to a `device` of a network server";

    type Table = MqttConfig;
    type DeviceKeys = NoKeys;
    type Target = TargetKeys;

    fn nested_tables() -> Vec<TableType> {
        vec![TableType::of::<Topic>()]
    }

    fn example() -> Example {
        let topics = json!([
            { "filter": "sensors/data/{device}/{metric}", "format": "value" },
            { "filter": "sensors/{device}/telemetry", "format": "json" },
            { "filter": "zigbee2mqtt/{device}", "format": "zigbee2mqtt" },
        ]);
        let action = json!({
            "adapter": "mqtt.floor", "topic": "zigbee2mqtt/hvac_zone_1/set", "payload": "{\"fan_mode\":\"high\"}"
        });
        Example {
            name: "floor",
            on: true,
            values: vec![("topics", topics)],
            action: Some(action),
            names: &[],
        }
    }

    fn read_files(table: &mut MqttConfig, path: &KeyPath, files: &mut Files<'_>) {
        files.resolve([&mut table.ca_file, &mut table.cert_file, &mut table.key_file]);
        files.password(path, &mut table.password, &mut table.password_file);
    }

    fn check_own_file(table: &MqttConfig, path: &KeyPath, file: &std::path::Path, report: &mut Report) {
        if table.password.is_some() && table.password_file.is_none() {
            report.warn_of_secret(&path.key("password"), file);
        }
    }

    fn check(all: &Configured<Self>, site: &Site<'_>, report: &mut Report) {
        for (name, table) in &all.adapters {
            check::check(report, &KeyPath::of("adapters.mqtt").key(name), table, site);
        }
    }

    fn check_action(action: &Action<'_, Self>, all: &Configured<Self>, site: &Site<'_>, report: &mut Report) {
        check::check_action(report, action, all, site);
    }

    fn message(
        action: &Action<'_, Self>,
        _all: &Configured<Self>,
        context: &mut BuildContext<'_>,
    ) -> Result<Option<Message>, BuildError> {
        if let Some(topic) = &action.target.topic {
            let target = Target::of_text(topic.clone(), MqttTarget::Topic);
            return Ok(Some(Message::Ready { target, payload: action.payload.to_owned().into() }));
        }
        let Some(keys) = action.downlink(context.site) else { return Ok(None) };
        let device = action.target.device.as_deref().and_then(|text| context.site.find_device(text));
        let codecs = (&mut *context.codecs, context.site.timezone);
        downlink::message(&keys, device.map(|(_, device)| device), MqttTarget::of_device, codecs)
    }

    fn command(table: &MqttConfig, order: &Order<'_>) -> Result<Vec<OrderMessage>, String> {
        let of_format =
            |formats: &[&str]| table.topics.iter().find(|topic| formats.contains(&topic.format.as_str()));
        let (key, value) = if let Some(topic) = of_format(&["zigbee2mqtt"]) {
            let topic = format!("{}/set", topic.filter.replace("{device}", order.address));
            if topic.contains(['+', '#', '{']) {
                return Err(format!("its topic is not known: `{topic}` has other wildcards than {{device}}"));
            }
            ("topic", topic)
        } else if of_format(&["ttn", "chirpstack"]).is_some() {
            ("device", order.address.to_owned())
        } else {
            return Err("none of its topics has the format zigbee2mqtt, ttn or chirpstack".to_owned());
        };
        Ok(vec![OrderMessage {
            keys: [(key.to_owned(), value.into())].into_iter().collect(),
            payload: order.json(),
        }])
    }

    fn probe(table: &MqttConfig, path: &KeyPath, report: &mut Report) {
        if let Some(url) = &table.url {
            mqtt_link::settings::probe(report, &path.key("url"), url);
        }
    }

    fn build(
        id: &AdapterId,
        table: &MqttConfig,
        _all: &Configured<Self>,
        context: &mut BuildContext<'_>,
    ) -> Result<Blueprint, BuildError> {
        build::blueprint(id, table, context)
    }
}

impl Action<'_, Mqtt> {
    /// What it says of a device of a network server, which knows its devices by their addresses.
    pub(super) fn downlink<'s>(&'s self, site: &'s Site<'_>) -> Option<DownlinkKeys<'s>> {
        let text = self.target.device.as_deref()?;
        let device = site.find_device(text).map_or(text, |(name, device)| Site::address(name, device));
        Some(DownlinkKeys {
            device,
            port: self.target.port,
            confirmed: self.target.confirmed.unwrap_or_default(),
            payload: self.payload,
            by_server: true,
        })
    }
}
