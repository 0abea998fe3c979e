//! Why there is no connection, in words that say what to do.

use std::error::Error;
use std::io;

use gateway_core::{Timestamp, causes};
use rustls::{AlertDescription, CertificateError};
use rustls_pki_types::UnixTime;

pub(crate) const BAD_PASSWORD: &str = "wrong user or password: check username and password_file";
pub(crate) const NOT_AUTHORISED: &str = "not authorised: check username and password_file";
pub(crate) const BAD_CLIENT_ID: &str = "the broker does not accept the client_id; choose another";
pub(crate) const UNAVAILABLE: &str = "the broker is not available at the moment";
pub(crate) const NO_ANSWER: &str =
    "the broker did not answer in time; check url, and whether a firewall stands in between";
pub(crate) const STALLED: &str = "the broker has stopped answering";
pub(crate) const NO_ACK: &str =
    "the broker answers, but acknowledges nothing of what it is sent; see its log";
pub(crate) const CLOSED: &str = "the broker closed the connection";
pub(crate) const SLEPT: &str = "this machine slept, and the broker will have given us up";
pub(crate) const NOT_MQTT: &str = "what the broker says breaks the protocol; is it an MQTT broker?";
pub(crate) const BUG: &str = "a bug stopped the reading of what the broker sent; please report it";
pub(crate) const OVERSIZED: &str = "the broker sent a message larger than 16 MiB, and would send it again and again; \
     what it had queued for us is discarded, and cannot be counted";

/// Why a connection came to nothing: as [`gateway_core::chain`], but a certificate that one side refused with what to do about it.
pub(crate) fn chain(error: &(dyn Error + 'static)) -> String {
    match tls_error(error) {
        Some(rustls::Error::InvalidCertificate(refused)) => {
            format!("the broker's certificate is refused: {}", remedy(refused))
        }
        Some(rustls::Error::AlertReceived(alert)) if is_about_certificates(*alert) => {
            format!(
                "the broker refuses our certificate ({alert:?}): check cert_file, its dates and the clocks"
            )
        }
        _ => gateway_core::chain(error),
    }
}

/// What rustls said, if that is the cause. It puts its errors into io's, which do not name them as their source.
fn tls_error<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a rustls::Error> {
    causes(error).find_map(|error| {
        let inside = || error.downcast_ref::<io::Error>()?.get_ref()?.downcast_ref::<rustls::Error>();
        error.downcast_ref::<rustls::Error>().or_else(inside)
    })
}

/// RFC 8446 section 6.2. A signature that does not verify is a `decrypt_error`.
const fn is_about_certificates(alert: AlertDescription) -> bool {
    use AlertDescription::{
        BadCertificate, CertificateExpired, CertificateRequired, CertificateRevoked, CertificateUnknown,
        DecryptError, UnknownCA, UnsupportedCertificate,
    };
    matches!(
        alert,
        BadCertificate
            | CertificateExpired
            | CertificateRequired
            | CertificateRevoked
            | CertificateUnknown
            | DecryptError
            | UnknownCA
            | UnsupportedCertificate
    )
}

fn remedy(refused: &CertificateError) -> String {
    let text = match refused {
        CertificateError::UnknownIssuer | CertificateError::BadSignature => {
            "it is not signed by a trusted authority; check ca_file"
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "it is not valid yet; is this machine's clock set?"
        }
        CertificateError::ExpiredContext { not_after, .. } => {
            let until = minute(timestamp(*not_after));
            return format!("it was valid until {until} only; or is this machine's clock wrong?");
        }
        CertificateError::Expired => "it has expired; or is this machine's clock wrong?",
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "it is for another name than url says"
        }
        other => return other.to_string(),
    };
    text.to_owned()
}

/// A broker's certificate that is not valid yet by this machine's clock: most often the clock has not been set yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NotYetValid {
    pub(crate) from: Timestamp,
    clock: Timestamp,
}

impl NotYetValid {
    /// Where that is what `error`, or a cause of it, says.
    pub(crate) fn find(error: &(dyn Error + 'static)) -> Option<Self> {
        match tls_error(error)? {
            rustls::Error::InvalidCertificate(CertificateError::NotValidYetContext { time, not_before }) => {
                Some(Self { from: timestamp(*not_before), clock: timestamp(*time) })
            }
            _ => None,
        }
    }

    /// For people.
    pub(crate) fn explain(&self, host: &str) -> String {
        let (from, clock) = (minute(self.from), minute(self.clock));
        format!(
            "the certificate of {host} is not valid before {from}: this machine's clock says {clock}; waiting for the clock"
        )
    }
}

fn timestamp(time: UnixTime) -> Timestamp {
    Timestamp::EPOCH + std::time::Duration::from_secs(time.as_secs())
}

/// `2026-11-20 10:00 UTC`.
fn minute(at: Timestamp) -> String {
    let text = at.to_string();
    match text.get(..16) {
        Some(minute) => format!("{} UTC", minute.replace('T', " ")),
        None => text,
    }
}
