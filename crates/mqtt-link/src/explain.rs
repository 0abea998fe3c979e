//! Why there is no connection, in words that say what to do.

use std::error::Error;
use std::io;

use rustls::CertificateError;

pub(crate) const BAD_PASSWORD: &str = "wrong user or password: check username and password_file";
pub(crate) const NOT_AUTHORISED: &str = "not authorised: check username and password_file";
pub(crate) const BAD_CLIENT_ID: &str = "the broker does not accept the client_id; choose another";
pub(crate) const UNAVAILABLE: &str = "the broker is not available at the moment";
pub(crate) const NO_ANSWER: &str =
    "the broker did not answer in time; check url, and whether a firewall stands in between";
pub(crate) const STALLED: &str = "the broker has stopped answering";
pub(crate) const CLOSED: &str = "the broker closed the connection";
pub(crate) const OVERSIZED: &str =
    "the broker sent a message larger than is taken; what it had queued for us is discarded";

/// An error with all its causes, each said once; a broker's certificate that was refused with what to do about it.
pub(crate) fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = Some(error);
    while let Some(cause) = next {
        if let Some(refused) = certificate(cause) {
            return format!("the broker's certificate is refused: {}", remedy(refused));
        }
        let said = cause.to_string();
        if !text.contains(&said) {
            text.push_str(": ");
            text.push_str(&said);
        }
        next = cause.source();
    }
    text
}

/// rustls puts its errors into io's, which do not name them as their source.
fn certificate<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a CertificateError> {
    let inside = || error.downcast_ref::<io::Error>()?.get_ref()?.downcast_ref::<rustls::Error>();
    match error.downcast_ref::<rustls::Error>().or_else(inside)? {
        rustls::Error::InvalidCertificate(refused) => Some(refused),
        _ => None,
    }
}

fn remedy(refused: &CertificateError) -> String {
    let text = match refused {
        CertificateError::UnknownIssuer | CertificateError::BadSignature => {
            "it is not signed by a trusted authority; check ca_file"
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "it is not valid yet; is this machine's clock set?"
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "it has expired; is this machine's clock set?"
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "it is for another name than url says"
        }
        other => return other.to_string(),
    };
    text.to_owned()
}
