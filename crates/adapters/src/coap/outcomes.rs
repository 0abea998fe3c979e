//! The answers to reports, made from their outcomes.

use std::time::Duration;

use coap_link::{Code, Response};
use gateway_core::{DropReason, Outcome};

/// The Max-Age of 5.03: a sender may try again after it.
pub(super) const TRY_AGAIN_AFTER: Duration = Duration::from_secs(5);

/// The longest text of an answer in bytes: it fits into one datagram on the smallest link.
const LONGEST_TEXT: usize = 200;

/// Without an outcome the pipeline could not accept the report, so its sender should repeat it.
pub(super) fn answer(outcome: Option<Outcome>, reason_text: Option<String>) -> Response {
    match outcome {
        Some(Outcome::Taken) => Response::new(Code::CHANGED),
        Some(Outcome::Refused(reason)) => refused(reason, reason_text),
        None => busy(),
    }
}

/// 5.03 with Max-Age.
pub(super) fn busy() -> Response {
    Response::error(Code::SERVICE_UNAVAILABLE, "no room for this now").with_max_age(TRY_AGAIN_AFTER)
}

fn refused(reason: DropReason, reason_text: Option<String>) -> Response {
    let mut text = reason_text.unwrap_or_else(|| reason.as_str().to_owned());
    text.truncate(text.floor_char_boundary(LONGEST_TEXT));
    let code = match reason {
        DropReason::TooLarge | DropReason::TooManyReadings => Code::REQUEST_ENTITY_TOO_LARGE,
        DropReason::UnknownDevice => Code::NOT_FOUND,
        // The report may be fine, and the key on one side wrong: the sender had better keep it.
        DropReason::BadMic => Code::UNAUTHORIZED,
        DropReason::TooManyDevices | DropReason::NoRoom => Code::SERVICE_UNAVAILABLE,
        _ => Code::BAD_REQUEST,
    };
    let response = Response::error(code, text);
    if code == Code::SERVICE_UNAVAILABLE { response.with_max_age(TRY_AGAIN_AFTER) } else { response }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outcome_has_its_code_and_a_text_that_fits_a_datagram() {
        assert_eq!(answer(Some(Outcome::Taken), None).code, Code::CHANGED);
        assert_eq!(answer(None, None).max_age, Some(TRY_AGAIN_AFTER));
        let bad = answer(Some(Outcome::Refused(DropReason::BadPayload)), Some("é".repeat(200)));
        assert_eq!((bad.code, bad.payload.len()), (Code::BAD_REQUEST, 200));
        let forged = answer(Some(Outcome::Refused(DropReason::BadMic)), None);
        assert_eq!(forged.code, Code::UNAUTHORIZED);
        let unknown = answer(Some(Outcome::Refused(DropReason::UnknownDevice)), None);
        assert_eq!((unknown.code, &unknown.payload[..]), (Code::NOT_FOUND, &b"unknown_device"[..]));
        assert_eq!(
            answer(Some(Outcome::Refused(DropReason::TooManyDevices)), None).max_age,
            Some(TRY_AGAIN_AFTER)
        );
    }
}
