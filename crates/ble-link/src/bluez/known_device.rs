//! What is known of a device: the properties of its BlueZ object, and the scan results made of them.

use std::sync::Arc;

use tokio::time::Instant;
use zbus::{Array, Dict, OwnedVariant, Variant};

use super::{Properties, bytes, text};
use crate::scan_result::{MAX_DATA, MAX_ENTRIES, ScanResult};
use crate::uuid::Uuid;

/// What is kept of a device between advertisements.
#[derive(Debug, Clone)]
pub(crate) struct KnownDevice {
    address: Arc<str>,
    rssi: Option<i16>,
    name: Option<Arc<str>>,
    services: Arc<[u128]>,
    service_data: Vec<(u128, Vec<u8>)>,
    manufacturer_data: Vec<(u16, Vec<u8>)>,
    /// When it was last reported.
    pub(crate) reported_at: Option<Instant>,
}

impl KnownDevice {
    /// From all properties of the device's object; `None` if it has no address.
    pub(crate) fn new(properties: &Properties) -> Option<Self> {
        let address = text(properties, "Address")?.to_ascii_uppercase().into();
        let mut device = Self {
            address,
            rssi: None,
            name: None,
            services: Arc::new([]),
            service_data: Vec::new(),
            manufacturer_data: Vec::new(),
            reported_at: None,
        };
        device.update_identity(properties);
        Some(device)
    }

    /// Applies changed properties. Returns a scan result if they carry data.
    pub(crate) fn update(&mut self, properties: &Properties) -> Option<ScanResult> {
        self.update_identity(properties);
        let service_data = entries(properties, "ServiceData", |key| uuid(key.downcast_ref::<&str>().ok()?));
        let manufacturer_data = entries(properties, "ManufacturerData", |key| key.downcast_ref::<u16>().ok());
        if service_data.is_empty() && manufacturer_data.is_empty() {
            return None;
        }
        (self.service_data, self.manufacturer_data) = (service_data, manufacturer_data);
        self.last_result()
    }

    /// The last scan result; for a device that repeats its data unchanged.
    pub(crate) fn last_result(&self) -> Option<ScanResult> {
        let has_data = !self.service_data.is_empty() || !self.manufacturer_data.is_empty();
        has_data.then(|| ScanResult {
            address: Arc::clone(&self.address),
            rssi: self.rssi,
            name: self.name.clone(),
            services: Arc::clone(&self.services),
            service_data: self.service_data.clone(),
            manufacturer_data: self.manufacturer_data.clone(),
        })
    }

    /// BlueZ removes `RSSI` when the device is out of reach.
    pub(crate) fn invalidated(&mut self, names: &[&str]) {
        if names.contains(&"RSSI") {
            self.rssi = None;
        }
    }

    /// Whether the device was received recently: BlueZ removes `RSSI` when it was not.
    pub(crate) fn is_near(&self) -> bool {
        self.rssi.is_some()
    }

    fn update_identity(&mut self, properties: &Properties) {
        if let Some(rssi) = properties.get("RSSI").and_then(|value| value.downcast_ref::<i16>().ok()) {
            self.rssi = Some(rssi);
        }
        // `Alias` would be the address if there is no name.
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

/// The entries of a dictionary whose values are byte arrays.
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
        let mut device = KnownDevice::new(&properties([
            ("Address", "a4:c1:38:8d:18:b2".into()),
            ("Name", "ATC".into()),
            ("RSSI", (-60_i16).into()),
        ]))
        .unwrap();
        let company = HashMap::from([(0x0499_u16, Variant::from(vec![5_u8, 1]))]);
        let first = device.update(&properties([("ManufacturerData", company.into())])).unwrap();
        assert_eq!((&*first.address, first.rssi), ("A4:C1:38:8D:18:B2", Some(-60)));
        assert_eq!((first.manufacturer_data, first.service_data), (vec![(0x0499, vec![5, 1])], vec![]));
        let second = properties([("ServiceData", service_data(&[0x40])), ("RSSI", (-70_i16).into())]);
        let second = device.update(&second).unwrap();
        assert_eq!((second.name.as_deref(), second.rssi), (Some("ATC"), Some(-70)));
        assert_eq!(second.service_data, [(uuid(BTHOME).unwrap(), vec![0x40])]);
        assert!(second.manufacturer_data.is_empty());
    }

    #[test]
    fn properties_without_data_are_no_advertisement() {
        let mut device = KnownDevice::new(&properties([("Address", "A4:C1:38:8D:18:B2".into())])).unwrap();
        assert_eq!(device.update(&properties([("Connected", true.into())])), None);
        assert!(!device.is_near());
        assert_eq!(device.update(&properties([("RSSI", (-60_i16).into())])), None);
        assert!(device.is_near());
        device.invalidated(&["RSSI"]);
        assert!(!device.is_near());
    }

    #[test]
    fn malformed_properties_are_left_out() {
        assert!(KnownDevice::new(&properties([("Address", 7_u32.into())])).is_none());
        let mut device = KnownDevice::new(&properties([("Address", "A4:C1:38:8D:18:B2".into())])).unwrap();
        let odd = HashMap::from([("not a uuid".to_owned(), Variant::from(vec![1_u8]))]);
        let long = HashMap::from([(1_u16, Variant::from(vec![0_u8; 255])), (2, Variant::from("text"))]);
        let malformed =
            [("ServiceData", odd.into()), ("ManufacturerData", long.into()), ("RSSI", "far".into())];
        assert_eq!(device.update(&properties(malformed)), None);
    }
}
