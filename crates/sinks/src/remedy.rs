//! What to do about a TLS connection that failed, by the words of its error.
//!
//! The client libraries hand on what rustls says as text only, so that the text is what there is to go by.

/// A part of an error's text, and what to do about it.
const REMEDIES: [(&str, &str); 9] = [
    ("peer certificate: UnknownIssuer", UNTRUSTED),
    ("peer certificate: BadSignature", UNTRUSTED),
    ("certificate not valid for name", OTHER_NAME),
    ("peer certificate: NotValidForName", OTHER_NAME),
    ("peer certificate: certificate expired", EXPIRED),
    ("peer certificate: Expired", EXPIRED),
    (
        "peer certificate: certificate not valid yet",
        "its certificate is not valid yet; is this machine's clock set?",
    ),
    ("message of type InvalidContentType", NO_TLS),
    ("tls handshake eof", NO_TLS),
];
const UNTRUSTED: &str = "its certificate is not signed by a trusted authority; check ca_file";
const OTHER_NAME: &str =
    "its certificate is for another name; write the server's address with the name in its certificate";
const EXPIRED: &str = "its certificate has expired, or this machine's clock is wrong";
const NO_TLS: &str =
    "it speaks no TLS on that port; check the port, or write the address without TLS and no ca_file";

/// `reason`, and behind it what to do, if it is an error of TLS.
pub(crate) fn with_remedy(reason: String) -> String {
    match REMEDIES.iter().find(|(words, _)| reason.contains(words)) {
        Some((_, remedy)) => format!("{reason}; {remedy}"),
        None => reason,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rustls_pki_types::{ServerName, UnixTime};
    use tokio_rustls::rustls::{CertificateError, Error, InvalidMessage};

    use super::*;

    fn shown(error: &Error) -> String {
        with_remedy(format!("db.example:5432 is out of reach: {error}"))
    }

    #[test]
    fn what_rustls_says_of_a_certificate_has_a_remedy() {
        let time = |seconds| UnixTime::since_unix_epoch(Duration::from_secs(seconds));
        let expected = ServerName::try_from("db.example").unwrap();
        for (error, remedy) in [
            (CertificateError::UnknownIssuer, UNTRUSTED),
            (CertificateError::BadSignature, UNTRUSTED),
            (CertificateError::NotValidForName, OTHER_NAME),
            (CertificateError::NotValidForNameContext { expected, presented: Vec::new() }, OTHER_NAME),
            (CertificateError::Expired, EXPIRED),
            (CertificateError::ExpiredContext { time: time(9), not_after: time(8) }, EXPIRED),
        ] {
            let text = shown(&Error::InvalidCertificate(error));
            assert!(text.ends_with(remedy), "{text}");
        }
        let early = CertificateError::NotValidYetContext { time: time(8), not_before: time(9) };
        assert!(shown(&Error::InvalidCertificate(early)).ends_with("clock set?"));
        let other = Error::InvalidMessage(InvalidMessage::InvalidContentType);
        assert!(shown(&other).ends_with(NO_TLS), "{}", shown(&other));
    }

    #[test]
    fn an_error_of_another_kind_stays_as_it_is() {
        let reason = "db.example:5432 is out of reach: Connection refused".to_owned();
        assert_eq!(with_remedy(reason.clone()), reason);
    }
}
