//! What was heard of a device, made of the properties of its BlueZ object.

use std::sync::Arc;

use tokio::time::Instant;
use zbus::{Array, Dict, OwnedVariant, Variant};

use crate::link::{Properties, bytes, text};
use crate::uuid::Uuid;

/// Largest data of a service or manufacturer that is read: more than any advertisement holds.
const MAX_DATA: usize = 254;
/// Most entries of a kind that are read of one advertisement.
const MAX_ENTRIES: usize = 64;

/// One advertisement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heard {
    /// `A4:C1:38:8D:18:B2`, in upper case.
    pub address: Arc<str>,
    /// In dBm, where BlueZ tells.
    pub rssi: Option<i16>,
    /// The device's name: that of an earlier advertisement too, since it is rarely sent with the data.
    pub name: Option<Arc<str>>,
    /// UUIDs of services that it offers, as 128 bits; of earlier advertisements too.
    pub services: Arc<[u128]>,
    /// Data of services, by their UUIDs.
    pub service_data: Vec<(u128, Vec<u8>)>,
    /// Data of manufacturers, by their company ids.
    pub manufacturer_data: Vec<(u16, Vec<u8>)>,
}

/// What stays of a device from one advertisement to the next.
#[derive(Debug, Clone)]
pub(crate) struct Device {
    address: Arc<str>,
    rssi: Option<i16>,
    name: Option<Arc<str>>,
    services: Arc<[u128]>,
    service_data: Vec<(u128, Vec<u8>)>,
    manufacturer_data: Vec<(u16, Vec<u8>)>,
    /// When it was last told.
    pub(crate) told_at: Option<Instant>,
}

impl Device {
    /// From all properties of its object; `None` where it has no address.
    pub(crate) fn new(properties: &Properties) -> Option<Self> {
        let address = text(properties, "Address")?.to_ascii_uppercase().into();
        let mut device = Self {
            address,
            rssi: None,
            name: None,
            services: Arc::new([]),
            service_data: Vec::new(),
            manufacturer_data: Vec::new(),
            told_at: None,
        };
        device.update(properties);
        Some(device)
    }

    /// Takes changed properties. Says what they tell of an advertisement, where they do.
    pub(crate) fn changed(&mut self, properties: &Properties) -> Option<Heard> {
        self.update(properties);
        let service_data = entries(properties, "ServiceData", |key| uuid(key.downcast_ref::<&str>().ok()?));
        let manufacturer_data = entries(properties, "ManufacturerData", |key| key.downcast_ref::<u16>().ok());
        if service_data.is_empty() && manufacturer_data.is_empty() {
            return None;
        }
        (self.service_data, self.manufacturer_data) = (service_data, manufacturer_data);
        self.again()
    }

    /// What it said last, as if it had been said again.
    pub(crate) fn again(&self) -> Option<Heard> {
        let said = !self.service_data.is_empty() || !self.manufacturer_data.is_empty();
        said.then(|| Heard {
            address: Arc::clone(&self.address),
            rssi: self.rssi,
            name: self.name.clone(),
            services: Arc::clone(&self.services),
            service_data: self.service_data.clone(),
            manufacturer_data: self.manufacturer_data.clone(),
        })
    }

    /// BlueZ has taken these properties back: the device is out of reach.
    pub(crate) fn invalidated(&mut self, names: &[&str]) {
        if names.contains(&"RSSI") {
            self.rssi = None;
        }
    }

    /// Whether it was heard lately: BlueZ takes the strength back when it was not.
    pub(crate) fn is_near(&self) -> bool {
        self.rssi.is_some()
    }

    fn update(&mut self, properties: &Properties) {
        if let Some(rssi) = properties.get("RSSI").and_then(|value| value.downcast_ref::<i16>().ok()) {
            self.rssi = Some(rssi);
        }
        // `Alias` is the address where there is no name.
        if let Some(name) = text(properties, "Name") {
            self.name = Some(name.into());
        }
        if let Some(uuids) = properties.get("UUIDs").and_then(|value| value.downcast_ref::<&Array<'_>>().ok())
        {
            let uuids = uuids.iter().take(MAX_ENTRIES);
            self.services = uuids.filter_map(|value| uuid(value.downcast_ref::<&str>().ok()?)).collect();
        }
    }
}

/// The entries of a dictionary of bytes.
fn entries<K>(
    properties: &Properties,
    name: &str,
    key: impl Fn(&Variant<'_>) -> Option<K>,
) -> Vec<(K, Vec<u8>)> {
    let Some(entries) = properties.get(name).and_then(dictionary) else { return Vec::new() };
    let entries = entries.iter().take(MAX_ENTRIES);
    entries.filter_map(|(name, data)| Some((key(name)?, bytes(data, MAX_DATA)?))).collect()
}

fn dictionary(value: &OwnedVariant) -> Option<&Dict<'_, '_>> {
    value.downcast_ref::<&Dict<'_, '_>>().ok()
}

fn uuid(text: &str) -> Option<u128> {
    text.parse().map(Uuid::bits).ok()
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use zbus::Variant;

    use super::*;

    const BTHOME: &str = "0000fcd2-0000-1000-8000-00805f9b34fb";

    fn properties(entries: impl IntoIterator<Item = (&'static str, Variant<'static>)>) -> Properties {
        entries.into_iter().map(|(name, value)| (name.to_owned(), value.try_into().unwrap())).collect()
    }

    fn service_data(bytes: &[u8]) -> Variant<'static> {
        Variant::from(HashMap::from([(BTHOME.to_owned(), Variant::from(bytes.to_vec()))]))
    }

    #[test]
    fn data_is_of_this_advertisement_alone_name_and_strength_may_be_of_an_earlier_one() {
        let mut device = Device::new(&properties([
            ("Address", "a4:c1:38:8d:18:b2".into()),
            ("Name", "ATC".into()),
            ("RSSI", (-60_i16).into()),
        ]))
        .unwrap();
        let company = HashMap::from([(0x0499_u16, Variant::from(vec![5_u8, 1]))]);
        let first = device.changed(&properties([("ManufacturerData", company.into())])).unwrap();
        assert_eq!((&*first.address, first.rssi), ("A4:C1:38:8D:18:B2", Some(-60)));
        assert_eq!((first.manufacturer_data, first.service_data), (vec![(0x0499, vec![5, 1])], vec![]));
        let second = properties([("ServiceData", service_data(&[0x40])), ("RSSI", (-70_i16).into())]);
        let second = device.changed(&second).unwrap();
        assert_eq!((second.name.as_deref(), second.rssi), (Some("ATC"), Some(-70)));
        assert_eq!(second.service_data, [(uuid(BTHOME).unwrap(), vec![0x40])]);
        assert!(second.manufacturer_data.is_empty());
    }

    #[test]
    fn what_carries_no_data_is_no_advertisement() {
        let mut device = Device::new(&properties([("Address", "A4:C1:38:8D:18:B2".into())])).unwrap();
        assert_eq!(device.changed(&properties([("Connected", true.into())])), None);
        assert!(!device.is_near());
        assert_eq!(device.changed(&properties([("RSSI", (-60_i16).into())])), None);
        assert!(device.is_near());
        device.invalidated(&["RSSI"]);
        assert!(!device.is_near());
    }

    #[test]
    fn what_is_not_as_documented_is_left_out() {
        assert!(Device::new(&properties([("Address", 7_u32.into())])).is_none());
        let mut device = Device::new(&properties([("Address", "A4:C1:38:8D:18:B2".into())])).unwrap();
        let odd = HashMap::from([("not a uuid".to_owned(), Variant::from(vec![1_u8]))]);
        let long = HashMap::from([(1_u16, Variant::from(vec![0_u8; 255])), (2, Variant::from("text"))]);
        let told = [("ServiceData", odd.into()), ("ManufacturerData", long.into()), ("RSSI", "far".into())];
        assert_eq!(device.changed(&properties(told)), None);
    }
}
