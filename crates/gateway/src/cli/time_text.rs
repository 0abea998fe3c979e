//! Times as recordings and spreadsheets write them.

use std::borrow::Cow;

use gateway_core::{Moment, Timestamp};
use jiff::fmt::temporal::Pieces;
use jiff::tz::Offset;

/// `2014-04-01 00:00:00`, with `T` or a space, `-` or `/`, with or without a fraction, an offset or a time of day; or
/// seconds or milliseconds since 1970. With an offset the local clock is the one that was written; without one the time
/// was read off a local clock and is taken as it stands. A date that begins with the day or the month is none: which of
/// the two it is is not known.
pub(crate) fn moment(text: &str) -> Option<Moment> {
    let text = text.trim();
    if let Ok(number) = text.parse() {
        return Timestamp::from_epoch_number(number).map(Moment::utc);
    }
    written_out(text)
}

/// As [`moment`], but no bare number, which could be anything.
pub(crate) fn written_out(text: &str) -> Option<Moment> {
    let text = with_hyphens(text.trim());
    let pieces = Pieces::parse(text.as_bytes()).ok()?;
    let offset = pieces.to_numeric_offset().unwrap_or(Offset::UTC);
    let local = pieces.date().to_datetime(pieces.time().unwrap_or(jiff::civil::Time::midnight()));
    let at = offset.to_timestamp(local).ok()?;
    Some(Moment { at: Timestamp::from_millis(at.as_millisecond()), utc_offset: offset.seconds() })
}

/// `2014/04/01` is the same date.
fn with_hyphens(text: &str) -> Cow<'_, str> {
    match text.as_bytes() {
        [_, _, _, _, b'/', _, _, b'/', ..] => Cow::Owned(text.replacen('/', "-", 2)),
        _ => Cow::Borrowed(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Option<(String, i32)> {
        moment(text).map(|moment| (moment.at.to_string(), moment.utc_offset))
    }

    #[test]
    fn a_time_without_an_offset_is_taken_as_it_stands() {
        for text in [
            "2014-04-01 00:05:00",
            "2014-04-01T00:05:00",
            " 2014-04-01 00:05 ",
            "2014/04/01 00:05:00",
            "2014-04-01 00:05:00.000000",
            "1396310700",
            "1396310700000",
            "1396310700.0",
        ] {
            assert_eq!(at(text), Some(("2014-04-01T00:05:00.000Z".into(), 0)), "{text}");
        }
        assert_eq!(at("2014-04-01"), Some(("2014-04-01T00:00:00.000Z".into(), 0)));
    }

    #[test]
    fn an_offset_tells_the_local_clock() {
        let paris = Some(("2014-04-01T00:05:00.250Z".into(), 7200));
        assert_eq!(at("2014-04-01T02:05:00.25+02:00"), paris);
        assert_eq!(at("2014-04-01 02:05:00.250+02:00"), paris);
        assert_eq!(at("2014-04-01T00:05:00.25Z"), Some(("2014-04-01T00:05:00.250Z".into(), 0)));
    }

    #[test]
    fn what_could_be_two_dates_is_none() {
        for text in
            ["", "03/04/2014", "2014-13-01", "yesterday", "NaN", "inf", "1e300", "2014-04-01 25:00:00"]
        {
            assert_eq!(at(text), None, "{text}");
        }
    }

    #[test]
    fn a_bare_number_is_not_written_out() {
        assert_eq!(written_out("1396310700"), None);
        assert!(written_out("2014-04-01 00:05:00").is_some());
    }
}
