//! TLS on the server's side: the broker's certificate, and whom of the clients' certificates to believe.

use std::sync::Arc;

use credentials::{CertificateError, CertificateFiles, CurrentCertificate};
use rustls::ServerConfig;
use rustls::pki_types::CertificateDer;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use crate::{BrokerError, Settings, Tls};

/// Certificate, key and authorities of the encrypted listeners, read from their files; replaced as a whole at a reload.
#[derive(Debug, Clone)]
pub struct Certificates(Option<Arc<ServerConfig>>);

impl Certificates {
    /// Reads the files that `settings` name.
    ///
    /// # Errors
    /// One of them cannot be used.
    pub fn read(settings: &Settings) -> Result<Self, BrokerError> {
        Ok(Self(settings.tls.as_ref().map(server_config).transpose()?))
    }

    /// What new connections get; none without encrypted listeners.
    pub(crate) fn current(self) -> Option<Arc<CurrentCertificate>> {
        self.0.map(CurrentCertificate::new)
    }

    pub(crate) fn replace(self, current: &CurrentCertificate) {
        if let Some(config) = self.0 {
            current.replace(config);
        }
    }
}

/// Reads the files.
pub(crate) fn server_config(settings: &Tls) -> Result<Arc<ServerConfig>, BrokerError> {
    let Tls { cert_file, key_file, client_ca_file, .. } = settings;
    let files =
        CertificateFiles { cert_file, key_file, client_ca_file: client_ca_file.as_deref(), protocols: &[] };
    files.read().map_err(|error| match error {
        CertificateError::Unreadable { path, what, source } => {
            BrokerError::Certificate { path, what, source }
        }
        CertificateError::Pair { cert_file, key_file, source } => {
            BrokerError::Tls { cert_file, key_file, source }
        }
    })
}

/// The common name of a client's certificate.
pub(crate) fn common_name(certificate: &CertificateDer<'_>) -> Option<String> {
    let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
    parsed.subject().iter_common_name().next()?.as_str().ok().map(str::to_owned)
}
