//! A device's name, as hostile as can be, as a level of a topic: one level, without wildcards, from which the name can
//! be told again.

use gateway_core::{DeviceAddress, topic};

pub(crate) fn run(data: &[u8]) {
    let name = riser_fuzz::text(data);
    if let Some(address) = DeviceAddress::new(name) {
        assert_eq!(address.as_str(), name);
    }
    let level = topic::level(name);
    assert!(!level.contains(['/', '+', '#']) && !level.contains(char::is_control), "{level}");
    assert_eq!(decoded(&level), name.as_bytes());
    assert_eq!(topic::levels(name).replace('/', "%2F"), level);
}

/// Percent-decoding, RFC 3986 section 2.1.
fn decoded(level: &str) -> Vec<u8> {
    let mut parts = level.split('%');
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        let (hex, rest) = part.split_at(2);
        bytes.push(u8::from_str_radix(hex, 16).expect("two hex digits after %"));
        bytes.extend_from_slice(rest.as_bytes());
    }
    bytes
}
