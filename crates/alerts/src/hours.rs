//! The hours of a rule: `between = "Mon-Fri 06:00-22:00, Sat 08:00-12:00"`, by the clocks of a time zone.
//!
//! A range that ends before it begins passes midnight and belongs to the day on which it begins. In the night in which the
//! clocks go forward the hour that does not exist is missing; in the one in which they go back an hour counts twice.

use gateway_core::Timestamp;
use jiff::civil::Weekday;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

const DAY_MINUTES: u16 = 24 * 60;
const DAYS: [(&str, Weekday); 7] = [
    ("mon", Weekday::Monday),
    ("tue", Weekday::Tuesday),
    ("wed", Weekday::Wednesday),
    ("thu", Weekday::Thursday),
    ("fri", Weekday::Friday),
    ("sat", Weekday::Saturday),
    ("sun", Weekday::Sunday),
];
/// Most ranges of one rule.
const MAX_RANGES: usize = 32;

/// When a rule applies.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "Written")]
pub struct Hours {
    written: Written,
    zone: TimeZone,
    ranges: Vec<Range>,
}

/// As it stands in the configuration and in a checkpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Written {
    text: String,
    /// An IANA name.
    timezone: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Range {
    /// Bit 0 is Monday.
    days: u8,
    /// Minutes since midnight; `end` is at most a day and not part of it.
    begin: u16,
    end: u16,
}

impl PartialEq for Hours {
    fn eq(&self, other: &Self) -> bool {
        self.written == other.written
    }
}

impl From<Hours> for Written {
    fn from(hours: Hours) -> Self {
        hours.written
    }
}

impl TryFrom<Written> for Hours {
    type Error = String;

    fn try_from(written: Written) -> Result<Self, String> {
        Self::parse(&written.text, &written.timezone)
    }
}

impl Hours {
    /// `timezone`: an IANA name; UTC where there is no such zone on this machine.
    ///
    /// # Errors
    /// What is wrong with the text, and what is allowed.
    pub fn parse(text: &str, timezone: &str) -> Result<Self, String> {
        let mut ranges = Vec::new();
        let mut days = 0_u8;
        for item in text.split(',') {
            let mut times = None;
            for word in item.split_whitespace() {
                if times.is_some() {
                    return Err(wrong(&format!("`{word}` behind the times of a range")));
                }
                match parse_days(word) {
                    Some(more) => days |= more,
                    None => times = Some(parse_times(word)?),
                }
            }
            if let Some((begin, end)) = times {
                let all = if days == 0 { 0x7f } else { days };
                ranges.push(Range { days: all, begin, end });
                days = 0;
            } else if days == 0 {
                return Err(wrong("a range is empty"));
            }
        }
        if days != 0 {
            return Err(wrong("days without times at the end"));
        }
        if ranges.len() > MAX_RANGES {
            return Err(wrong(&format!("more than {MAX_RANGES} ranges")));
        }
        let zone = TimeZone::get(timezone).unwrap_or(TimeZone::UTC);
        let written = Written { text: text.to_owned(), timezone: timezone.to_owned() };
        Ok(Self { written, zone, ranges })
    }

    /// As it was written.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.written.text
    }

    /// Whether the clocks show one of these hours at `at`.
    #[must_use]
    pub fn contain(&self, at: Timestamp) -> bool {
        let Ok(at) = jiff::Timestamp::from_millisecond(at.as_millis()) else { return false };
        let local = self.zone.to_datetime(at);
        let day = local.weekday().to_monday_zero_offset();
        let minute = u16::from(local.hour().unsigned_abs()) * 60 + u16::from(local.minute().unsigned_abs());
        self.ranges.iter().any(|range| range.contains(day, minute))
    }
}

impl Range {
    /// `day`: 0 is Monday.
    fn contains(self, day: i8, minute: u16) -> bool {
        let is_of = |day: i8| self.days >> day.rem_euclid(7) & 1 == 1;
        if self.begin < self.end {
            is_of(day) && (self.begin..self.end).contains(&minute)
        } else {
            (is_of(day) && minute >= self.begin) || (is_of(day - 1) && minute < self.end)
        }
    }
}

fn wrong(what: &str) -> String {
    format!("{what}; hours look like \"Mon-Fri 06:00-22:00\" or \"Mon-Fri 07:00-18:00, Sat 08:00-12:00\"")
}

/// `Mon`, or `Fri-Mon`, as bits.
fn parse_days(word: &str) -> Option<u8> {
    let day = |name: &str| {
        let lower = name.to_ascii_lowercase();
        let index = DAYS.iter().position(|(short, weekday)| {
            lower == *short || lower == format!("{weekday:?}").to_ascii_lowercase()
        });
        index.and_then(|index| u8::try_from(index).ok())
    };
    let (first, last) = word.split_once('-').unwrap_or((word, word));
    let (first, last) = (day(first)?, day(last)?);
    let length = (last + 7 - first) % 7;
    Some((0..=length).fold(0, |days, step| days | 1 << ((first + step) % 7)))
}

/// `06:00-22:00` in minutes.
fn parse_times(word: &str) -> Result<(u16, u16), String> {
    let unknown = || wrong(&format!("`{word}` is neither a day nor times"));
    let (begin, end) = word.split_once('-').ok_or_else(unknown)?;
    let minutes = |time: &str| {
        let (hour, minute) = time.split_once(':')?;
        let two_digits = |text: &str| (text.len() <= 2).then(|| text.parse::<u16>().ok()).flatten();
        let (hour, minute) = (two_digits(hour)?, two_digits(minute).filter(|_| minute.len() == 2)?);
        let total = hour * 60 + minute;
        (minute < 60 && total <= DAY_MINUTES).then_some(total)
    };
    let (begin, end) = minutes(begin).zip(minutes(end)).ok_or_else(unknown)?;
    if begin == end {
        return Err(wrong(&format!("`{word}` is no time at all")));
    }
    if begin == DAY_MINUTES {
        return Err(wrong(&format!("`{word}` begins at the end of the day; write 00:00")));
    }
    Ok((begin, end))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contain(text: &str, at: &str) -> bool {
        Hours::parse(text, "Europe/Paris").unwrap().contain(at.parse().unwrap())
    }

    #[test]
    fn days_and_times_are_local() {
        // 2026-11-20 is a Friday; Paris is an hour ahead.
        for (text, at, expected) in [
            ("Mon-Fri 06:00-22:00", "2026-11-20T05:00:00Z", true),
            ("Mon-Fri 06:00-22:00", "2026-11-20T04:59:59Z", false),
            ("Mon-Fri 06:00-22:00", "2026-11-20T21:00:00Z", false),
            ("Mon-Fri 06:00-22:00", "2026-11-21T10:00:00Z", false),
            ("Sat, Sun 08:00-12:00", "2026-11-21T10:00:00Z", true),
            ("Fri-Mon 08:00-12:00", "2026-11-22T10:00:00Z", true),
            ("06:00-24:00", "2026-11-22T22:59:00Z", true),
            ("Friday 22:00-06:00", "2026-11-20T22:00:00Z", true),
            ("Friday 22:00-06:00", "2026-11-21T04:00:00Z", true),
            ("Friday 22:00-06:00", "2026-11-20T04:00:00Z", false),
            ("Mon-Fri 07:00-18:00, Sat 08:00-12:00", "2026-11-21T10:30:00Z", true),
        ] {
            assert_eq!(contain(text, at), expected, "{text} at {at}");
        }
    }

    #[test]
    fn the_clocks_go_forward_and_back() {
        let night = "02:00-03:00";
        // 2026-03-29: 01:59:59 is followed by 03:00.
        assert!(!contain(night, "2026-03-29T00:59:59Z"));
        assert!(!contain(night, "2026-03-29T01:00:00Z"));
        // 2026-10-25: 02:00 to 03:00 comes twice.
        assert!(contain(night, "2026-10-25T00:30:00Z"));
        assert!(contain(night, "2026-10-25T01:30:00Z"));
        assert!(!contain(night, "2026-10-25T02:00:00Z"));
    }

    #[test]
    fn what_cannot_be_read_is_said() {
        for text in [
            "",
            "Mon",
            "Mon-Fri",
            "25:00-26:00",
            "06:00",
            "6-22",
            "06:00-06:00",
            "24:00-06:00",
            "Foo 06:00-07:00",
            "06:00-07:00 Mon",
        ] {
            let problem = Hours::parse(text, "UTC").expect_err(text);
            assert!(problem.contains("hours look like"), "{problem}");
        }
    }
}
