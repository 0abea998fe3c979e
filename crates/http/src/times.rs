//! Times in queries.

use gateway_core::Timestamp;

use crate::problem::Problem;

/// A time of the query: RFC 3339, or milliseconds since 1970.
pub(crate) fn time(key: &str, text: &str) -> Result<Timestamp, Problem> {
    let parsed = text.parse::<i64>().ok().map(Timestamp::from_millis).or_else(|| text.parse().ok());
    parsed.filter(|at| *at >= Timestamp::EPOCH && *at <= LATEST).ok_or_else(|| {
        let text: String = text.chars().take(40).collect();
        Problem::bad_request(format!(
            "{key} `{text}` is no time; write it as 2026-11-20T10:00:00Z, or in milliseconds since 1970"
        ))
    })
}

/// The end of the year 9999: RFC 3339 goes no further.
const LATEST: Timestamp = Timestamp::from_millis(253_402_300_799_999);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_both_forms_and_no_other() {
        let at = Timestamp::from_millis(1_795_168_800_000);
        assert_eq!(time("from", "1795168800000").unwrap(), at);
        assert_eq!(time("from", &at.to_string()).unwrap(), at);
        for wrong in ["", "yesterday", "-1", "99999999999999999", "2026-13-01T00:00:00Z"] {
            assert!(time("from", wrong).is_err(), "{wrong}");
        }
    }
}
