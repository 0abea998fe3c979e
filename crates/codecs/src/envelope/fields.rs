//! Members of a network server's JSON, read with patience: what is null or of another type is not there.

use gateway_core::{DeviceAddress, LinkQuality, Timestamp};
use serde_json::Value;

/// Whether the member is there and not null.
pub(super) fn has(object: &Value, key: &str) -> bool {
    object.get(key).is_some_and(|value| !value.is_null())
}

pub(super) fn text<'a>(object: &'a Value, key: &str) -> Option<&'a str> {
    object.get(key).and_then(Value::as_str).filter(|text| !text.is_empty())
}

/// A DevEUI in the form under which a device is known by it.
pub(super) fn dev_eui(object: &Value, key: &str) -> Option<String> {
    let eui = text(object, key)?;
    DeviceAddress::is_dev_eui(eui).then(|| eui.to_ascii_lowercase())
}

/// A time in RFC 3339. Year 1 is what a server writes that does not know.
pub(super) fn time(object: &Value, key: &str) -> Option<Timestamp> {
    let at: jiff::Timestamp = text(object, key)?.parse().ok()?;
    (at > jiff::Timestamp::UNIX_EPOCH).then(|| Timestamp::from_millis(at.as_millisecond()))
}

/// An FPort. The servers leave out 0.
pub(super) fn port(object: &Value, key: &str) -> u8 {
    small(object, key).unwrap_or(0)
}

/// A whole number up to 255.
pub(super) fn small(object: &Value, key: &str) -> Option<u8> {
    whole(object, key).and_then(|number| u8::try_from(number).ok())
}

/// A whole number of 32 bits.
pub(super) fn whole(object: &Value, key: &str) -> Option<u32> {
    object.get(key).and_then(Value::as_u64).and_then(|number| u32::try_from(number).ok())
}

/// A length of time as protobuf's JSON has it, `"0.061696s"`, in seconds; zero is none.
pub(super) fn seconds(object: &Value, key: &str) -> Option<f64> {
    let seconds: f64 = text(object, key)?.strip_suffix('s')?.parse().ok()?;
    (seconds.is_finite() && seconds > 0.0).then_some(seconds)
}

/// RSSI and SNR of the best of `receivers`: by SNR, then by RSSI.
pub(super) fn best(receivers: Option<&Value>) -> LinkQuality {
    let receivers = receivers.and_then(Value::as_array).into_iter().flatten();
    let quality =
        |link: &LinkQuality| (link.snr.unwrap_or(f64::NEG_INFINITY), link.rssi.unwrap_or(f64::NEG_INFINITY));
    let better = |a: &LinkQuality, b: &LinkQuality| {
        let ((snr_a, rssi_a), (snr_b, rssi_b)) = (quality(a), quality(b));
        snr_a.total_cmp(&snr_b).then(rssi_a.total_cmp(&rssi_b))
    };
    receivers.map(reception).max_by(better).unwrap_or_default()
}

/// Of a receiver that says one of the two, the other was left out because it is zero.
fn reception(receiver: &Value) -> LinkQuality {
    let says = has(receiver, "rssi") || has(receiver, "snr");
    let number = |key| match receiver.get(key) {
        Some(value) => value.as_f64(),
        None => says.then_some(0.0),
    };
    LinkQuality { rssi: number("rssi"), snr: number("snr"), ..LinkQuality::default() }
}
