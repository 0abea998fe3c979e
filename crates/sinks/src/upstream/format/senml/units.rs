//! Which SenML version a pack has, by the units that it uses.
//!
//! A pack of version 10 (RFC 8428) may use primary units only. Secondary units (RFC 8798, section 3) are a feature with the code 4
//! (RFC 9100, section 4): a pack that uses one has version 10 + 2^4.

/// The version of a pack with a secondary unit.
pub(super) const VERSION_WITH_SECONDARY_UNITS: i64 = 26;

/// IANA's registry "Secondary Units" of SenML.
const SECONDARY_UNITS: [&str; 39] = [
    "ms", "min", "h", "MHz", "kW", "kVA", "kvar", "Ah", "Wh", "kWh", "varh", "kvarh", "kVAh", "Wh/km", "KiB",
    "GB", "Mbit/s", "B/s", "MB/s", "mV", "mA", "dBm", "ug/m3", "mm/h", "m/h", "ppm", "/100", "/1000", "hPa",
    "mm", "cm", "km", "km/h", "ppb", "ppt", "VAh", "mg/l", "ug/l", "g/l",
];

/// Whether `unit` is a secondary unit. A unit that is in no registry is not.
pub(super) fn is_secondary(unit: &str) -> bool {
    SECONDARY_UNITS.contains(&unit)
}
