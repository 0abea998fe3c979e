//! The advertisement in a row of `riser decode --batch`, as Bluetooth stacks report it: made into the bytes on the air.

use codecs::ble::advertisement::Builder;
use codecs::ble::{Address, BindKey, Keys, Uuid};
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};

/// An advertisement as a stack reports it: UUIDs with all 128 bits, company ids as decimal strings, bytes in hexadecimal.
#[derive(Debug, Deserialize)]
pub(super) struct AdvertisementRow {
    #[serde(default)]
    pub(super) address: Option<String>,
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    service_data: Pairs,
    #[serde(default)]
    manufacturer_data: Pairs,
    #[serde(default)]
    service_uuids: Option<Vec<String>>,
}

/// The members of an object in their order: what a stack received last comes last. Null counts as no members.
#[derive(Debug, Default)]
struct Pairs(Vec<(String, Option<String>)>);

impl<'de> Deserialize<'de> for Pairs {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(PairsVisitor)
    }
}

struct PairsVisitor;

impl<'de> Visitor<'de> for PairsVisitor {
    type Value = Pairs;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an object whose values are hexadecimal")
    }

    fn visit_unit<E>(self) -> Result<Pairs, E> {
        Ok(Pairs::default())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Pairs, A::Error> {
        let mut pairs = Vec::new();
        while let Some(pair) = members.next_entry()? {
            pairs.push(pair);
        }
        Ok(Pairs(pairs))
    }
}

impl AdvertisementRow {
    /// The bytes of the advertisement.
    pub(super) fn bytes(&self) -> Result<Vec<u8>, String> {
        let mut builder = Builder::new();
        let refused = |error: &dyn std::fmt::Display| format!("`advertisement`: {error}");
        if let Some(name) = self.name.as_ref().filter(|name| !name.is_empty()) {
            builder.name(name).map_err(|error| refused(&error))?;
        }
        for uuid in self.service_uuids.iter().flatten() {
            let uuid: Uuid = uuid.parse().map_err(|error| refused(&error))?;
            builder.uuid(uuid).map_err(|error| refused(&error))?;
        }
        for (uuid, data) in self.service_data.there() {
            let uuid: Uuid = uuid.parse().map_err(|error| refused(&error))?;
            builder.service_data(uuid, &hex(data)?).map_err(|error| refused(&error))?;
        }
        for (company, data) in self.manufacturer_data.there() {
            let company = company.parse().map_err(|_| {
                format!("`advertisement`: the company `{company}` is not a number from 0 to 65535")
            })?;
            builder.manufacturer_data(company, &hex(data)?).map_err(|error| refused(&error))?;
        }
        Ok(builder.build())
    }

    /// The key of this one device.
    pub(super) fn keys(&self, bindkey: Option<&str>) -> Result<Keys, String> {
        let mut keys = Keys::new();
        let Some(bindkey) = bindkey.filter(|text| !text.is_empty()) else { return Ok(keys) };
        let address: Address = self
            .address
            .as_deref()
            .unwrap_or_default()
            .parse()
            .map_err(|error| format!("`bindkey` needs the `address` of its device: {error}"))?;
        let key: BindKey = bindkey.parse().map_err(|error| format!("`bindkey`: {error}"))?;
        keys.insert(address, key);
        Ok(keys)
    }
}

impl Pairs {
    fn there(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().filter_map(|(name, data)| Some((name.as_str(), data.as_deref()?)))
    }
}

fn hex(text: &str) -> Result<Vec<u8>, String> {
    super::decode::from_hex(text)
        .ok_or_else(|| "`advertisement`: data is hexadecimal, two digits a byte".to_owned())
}
