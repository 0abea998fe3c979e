//! TLS on the server's side: certificate, key, and whom of the clients' certificates to believe.

use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};

use rustls::RootCertStore;
use rustls::ServerConfig;
use rustls::pki_types::pem::{Error as PemError, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use tokio_rustls::TlsAcceptor;
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
}

/// What new connections get.
#[derive(Debug)]
pub(crate) struct CurrentTls(RwLock<Arc<ServerConfig>>);

impl CurrentTls {
    pub(crate) fn new(Certificates(config): &Certificates) -> Option<Arc<Self>> {
        Some(Arc::new(Self(RwLock::new(config.clone()?))))
    }

    pub(crate) fn replace(&self, Certificates(config): Certificates) {
        if let Some(config) = config {
            *self.0.write().unwrap_or_else(PoisonError::into_inner) = config;
        }
    }

    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner)).into()
    }
}

/// Reads the files.
pub(crate) fn server_config(settings: &Tls) -> Result<Arc<ServerConfig>, BrokerError> {
    let Tls { cert_file, key_file, client_ca_file, .. } = settings;
    let unusable = |source: Box<dyn std::error::Error + Send + Sync>| BrokerError::Tls {
        cert_file: cert_file.clone(),
        key_file: key_file.clone(),
        source,
    };
    let chain = certificates(cert_file, "certificate")?;
    let key =
        PrivateKeyDer::from_pem_file(key_file).map_err(|error| unreadable(key_file, "private key", error))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| unusable(error.into()))?;
    let builder = match client_ca_file {
        None => builder.with_no_client_auth(),
        Some(file) => {
            let mut roots = RootCertStore::empty();
            for certificate in certificates(file, "client CA")? {
                roots.add(certificate).map_err(|error| unusable(error.into()))?;
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
                .build()
                .map_err(|error| unusable(error.into()))?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    let mut config = builder.with_single_cert(chain, key).map_err(|error| unusable(error.into()))?;
    // One instead of rustls's four: a ticket is for a client that comes back, and costs memory until it is sent.
    config.send_tls13_tickets = 1;
    Ok(Arc::new(config))
}

fn certificates(file: &Path, what: &'static str) -> Result<Vec<CertificateDer<'static>>, BrokerError> {
    let read = CertificateDer::pem_file_iter(file).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    match read {
        Ok(found) if found.is_empty() => Err(unreadable(file, what, PemError::NoItemsFound)),
        Ok(found) => Ok(found),
        Err(error) => Err(unreadable(file, what, error)),
    }
}

fn unreadable(path: &Path, what: &'static str, source: PemError) -> BrokerError {
    BrokerError::Certificate { path: path.to_owned(), what, source }
}

/// The common name of a client's certificate.
pub(crate) fn common_name(certificate: &CertificateDer<'_>) -> Option<String> {
    let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
    parsed.subject().iter_common_name().next()?.as_str().ok().map(str::to_owned)
}
