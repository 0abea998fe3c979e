//! The order of a struct's fields as its author wrote them, which a JSON Schema does not keep.
//!
//! serde's derive hands every deserializer the list of fields; [`Probe`] asks for it and takes nothing else.

use serde::de::value::Error;
use serde::de::{Deserialize, Deserializer, Error as _, Visitor};
use serde::forward_to_deserialize_any;

use super::model;

/// The fields of the table with this name in the schema; empty where it is unknown (a test finds it).
pub(crate) fn field_order(table: &str) -> &'static [&'static str] {
    match table {
        "Config" => fields_of::<model::Config>(),
        "Gateway" => fields_of::<model::Gateway>(),
        "Upstream" => fields_of::<sinks::upstream_mqtt::config::Config>(),
        "Outbox" => fields_of::<sinks::upstream_mqtt::config::Outbox>(),
        "Broker" => fields_of::<broker::config::Config>(),
        "BrokerUser" => fields_of::<broker::config::User>(),
        "Adapters" => fields_of::<adapters::config::Config>(),
        "MqttAdapter" => fields_of::<adapters::mqtt::config::MqttConfig>(),
        "CoapAdapter" => fields_of::<adapters::coap::config::CoapConfig>(),
        "CoapPsk" => fields_of::<adapters::coap::config::Psk>(),
        "CoapObserve" => fields_of::<adapters::coap::config::Observe>(),
        "CoapServer" => fields_of::<adapters::coap::config::Server>(),
        "LorawanAdapter" => fields_of::<adapters::lorawan::config::LorawanConfig>(),
        "BleAdapter" => fields_of::<adapters::ble::config::BleConfig>(),
        "BleConnect" => fields_of::<adapters::ble::config::Connect>(),
        "LorawanDevice" => fields_of::<adapters::lorawan::config::LorawanDevice>(),
        "Topic" => fields_of::<adapters::mqtt::config::Topic>(),
        "Device" => fields_of::<model::Device>(),
        "Calibration" => fields_of::<model::Calibration>(),
        "Aggregate" => fields_of::<model::Aggregate>(),
        "Metric" => fields_of::<model::Metric>(),
        "Anomaly" => fields_of::<model::Anomaly>(),
        "Alert" => fields_of::<model::Alert>(),
        "Action" => fields_of::<model::Action>(),
        "Journal" => fields_of::<model::Journal>(),
        "History" => fields_of::<model::History>(),
        _ => &[],
    }
}

fn fields_of<'de, T: Deserialize<'de>>() -> &'static [&'static str] {
    let mut fields: &'static [&'static str] = &[];
    // Always an error: the probe holds no value.
    let _ = T::deserialize(Probe { fields: &mut fields });
    fields
}

struct Probe<'a> {
    fields: &'a mut &'static [&'static str],
}

impl<'de> Deserializer<'de> for Probe<'_> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Error> {
        Err(Error::custom("not a struct"))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, Error> {
        *self.fields = fields;
        Err(Error::custom("only the fields were asked for"))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit
        unit_struct newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::shape::json_schema;

    #[test]
    fn every_table_of_the_schema_has_its_order() {
        let schema = json_schema();
        for (name, body) in schema["$defs"].as_object().unwrap() {
            let Some(properties) = body.get("properties").and_then(|p| p.as_object()) else { continue };
            let mut expected: Vec<_> = properties.keys().map(String::as_str).collect();
            let mut fields = field_order(name).to_vec();
            expected.sort_unstable();
            fields.sort_unstable();
            assert_eq!(fields, expected, "{name}: add it to `field_order`");
        }
    }
}
