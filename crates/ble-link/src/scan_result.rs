//! One received advertisement.

use std::sync::Arc;

/// The most bytes of one data entry: more than any advertisement can hold.
pub(crate) const MAX_DATA: usize = 254;
/// The most entries of one kind that are read of one advertisement.
pub(crate) const MAX_ENTRIES: usize = 64;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScanResult {
    /// In upper case, as in `A4:C1:38:8D:18:B2`.
    pub address: Arc<str>,
    /// In dBm, if BlueZ reports it.
    pub rssi: Option<i16>,
    /// The device's name. It may come from an earlier advertisement, because it is rarely sent together with data.
    pub name: Option<Arc<str>>,
    /// 128-bit UUIDs of the advertised services, those of earlier advertisements included.
    pub services: Arc<[u128]>,
    /// Service data by service UUID.
    pub service_data: Vec<(u128, Vec<u8>)>,
    /// Manufacturer data by company identifier.
    pub manufacturer_data: Vec<(u16, Vec<u8>)>,
}
