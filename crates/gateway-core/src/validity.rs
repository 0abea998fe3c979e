//! Reads the validity of a certificate from its DER (RFC 5280 section 4.1). It checks nothing else: rustls
//! validates certificates.

use crate::Timestamp;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Validity {
    /// `notBefore`.
    pub from: Timestamp,
    /// `notAfter`.
    pub until: Timestamp,
}

const SEQUENCE: u8 = 0x30;
const VERSION: u8 = 0xa0;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;

impl Validity {
    pub fn of(certificate: &[u8]) -> Option<Self> {
        let (whole, _) = expect(certificate, SEQUENCE)?;
        let (to_be_signed, _) = expect(whole, SEQUENCE)?;
        let (tag, _, after_version) = element(to_be_signed)?;
        let serial_number = if tag == VERSION { after_version } else { to_be_signed };
        let (_, _, signature) = element(serial_number)?;
        let (_, _, issuer) = element(signature)?;
        let (_, _, validity) = element(issuer)?;
        let (validity, _) = expect(validity, SEQUENCE)?;
        let (tag, from, rest) = element(validity)?;
        let (until_tag, until, _) = element(rest)?;
        Some(Self { from: time(tag, from)?, until: time(until_tag, until)? })
    }
}

fn expect(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    element(der).filter(|(found, ..)| *found == tag).map(|(_, content, rest)| (content, rest))
}

/// Tag, content and remaining bytes of the element that `der` starts with (X.690 section 8.1).
fn element(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, der) = der.split_first()?;
    let (&first, der) = der.split_first()?;
    let (length, der) = match first {
        0..=0x7f => (usize::from(first), der),
        0x81..=0x83 => {
            let (digits, der) = der.split_at_checked(usize::from(first & 0x7f))?;
            (digits.iter().fold(0, |length, digit| length << 8 | usize::from(*digit)), der)
        }
        _ => return None,
    };
    let (content, rest) = der.split_at_checked(length)?;
    Some((tag, content, rest))
}

/// `YYMMDDHHMMSSZ` for 1950 to 2049, or `YYYYMMDDHHMMSSZ` (RFC 5280 section 4.1.2.5).
fn time(tag: u8, content: &[u8]) -> Option<Timestamp> {
    let text = std::str::from_utf8(content).ok()?;
    let (century, text) = match tag {
        UTC_TIME if text.get(..1)? < "5" => ("20", text),
        UTC_TIME => ("19", text),
        GENERALIZED_TIME => text.split_at_checked(2)?,
        _ => return None,
    };
    let [year, month, day, hour, minute, second] =
        [0, 2, 4, 6, 8, 10].map(|at| text.get(at..at + 2).unwrap_or_default());
    if text.get(12..)? != "Z" {
        return None;
    }
    format!("{century}{year}-{month}-{day}T{hour}:{minute}:{second}Z").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertificateParams, KeyPair, date_time_ymd};

    fn certificate(from: i32, until: i32) -> Vec<u8> {
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        params.not_before = date_time_ymd(from, 2, 3);
        params.not_after = date_time_ymd(until, 11, 12);
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().to_vec()
    }

    #[test]
    fn finds_both_dates_in_either_form() {
        for (from, until) in [(1975, 4096), (2026, 2049), (1999, 2050)] {
            let validity = Validity::of(&certificate(from, until)).unwrap();
            assert_eq!(validity.from.to_string(), format!("{from}-02-03T00:00:00.000Z"));
            assert_eq!(validity.until.to_string(), format!("{until}-11-12T00:00:00.000Z"));
        }
    }

    #[test]
    fn a_certificate_that_is_cut_or_damaged_anywhere_does_no_harm() {
        let whole = certificate(2026, 2030);
        let validity = Validity::of(&whole);
        for at in 0..whole.len() {
            assert_eq!(Validity::of(whole.get(..at).unwrap()), None);
            for bit in 0..8 {
                let mut damaged = whole.clone();
                damaged[at] ^= 1 << bit;
                let _ = Validity::of(&damaged);
            }
        }
        assert!(validity.is_some());
    }

    #[test]
    fn times_in_another_form_are_none() {
        for text in
            ["", "Z", "2611200000Z", "261120000000", "261120000000+0100", "26112000000é", "261399000000Z"]
        {
            assert_eq!(time(UTC_TIME, text.as_bytes()), None, "{text}");
        }
        assert_eq!(time(0x02, b"261120000000Z"), None);
    }
}
