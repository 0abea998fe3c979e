//! Event times as payloads write them.

use gateway_core::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

/// RFC 3339 with `T` or a space and any offset; without an offset it is local time in `zone`; or an epoch number as
/// text. Of a local time that comes twice (clocks set back) the first is taken.
pub(crate) fn from_text(text: &str, zone: &TimeZone) -> Option<Timestamp> {
    let text = text.trim();
    if let Ok(at) = text.parse::<jiff::Timestamp>() {
        return Some(Timestamp::from_millis(at.as_millisecond()));
    }
    if let Ok(number) = text.parse::<f64>() {
        return Timestamp::from_epoch_number(number);
    }
    let local = text.parse::<DateTime>().ok()?;
    let at = zone.to_ambiguous_timestamp(local).compatible().ok()?;
    Some(Timestamp::from_millis(at.as_millisecond()))
}

/// Which of the names of an event time `key` is; the lowest wins where there are several.
pub(crate) fn rank_of_key(key: &str) -> Option<u8> {
    match key {
        "time" => Some(0),
        "timestamp" => Some(1),
        "ts" => Some(2),
        _ => None,
    }
}
