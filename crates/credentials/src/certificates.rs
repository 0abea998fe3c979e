//! The certificate of encrypted listeners, and whose certificates of clients are believed. It is read as a whole, and replaced as
//! a whole while the listener runs: new connections get the new one, old ones stay.

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use rustls::pki_types::pem::{Error as PemError, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};

/// The files of an encrypted listener.
#[derive(Debug, Clone, Copy)]
pub struct CertificateFiles<'a> {
    /// The listener's certificate and its chain.
    pub cert_file: &'a Path,
    /// Its private key.
    pub key_file: &'a Path,
    /// If there, a client must show a certificate signed by one of these.
    pub client_ca_file: Option<&'a Path>,
    /// Protocols that are offered (ALPN), such as `http/1.1`; none: whatever the client wants.
    pub protocols: &'a [&'a [u8]],
}

/// Why the files cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    #[error("{} cannot be used as the {what}; it must be a readable PEM file", path.display())]
    Unreadable {
        path: PathBuf,
        /// `certificate`, `private key` or `client CA`.
        what: &'static str,
        #[source]
        source: PemError,
    },
    /// They do not belong together, or rustls does not support their kind.
    #[error("the certificate {} cannot be used with the key {}; they must belong together", cert_file.display(), key_file.display())]
    Pair {
        cert_file: PathBuf,
        key_file: PathBuf,
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl CertificateFiles<'_> {
    /// Reads the files.
    ///
    /// # Errors
    /// One of them cannot be used.
    pub fn read(&self) -> Result<Arc<ServerConfig>, CertificateError> {
        let chain = certificates(self.cert_file, "certificate")?;
        let key = PrivateKeyDer::from_pem_file(self.key_file)
            .map_err(|error| unreadable(self.key_file, "private key", error))?;
        let authorities = self.client_ca_file.map(|file| certificates(file, "client CA")).transpose()?;
        let mut config = config(chain, key, authorities).map_err(|source| CertificateError::Pair {
            cert_file: self.cert_file.to_owned(),
            key_file: self.key_file.to_owned(),
            source,
        })?;
        // One instead of rustls's four: a ticket is for a client that comes back, and costs memory until it is sent.
        config.send_tls13_tickets = 1;
        config.alpn_protocols = self.protocols.iter().map(|protocol| protocol.to_vec()).collect();
        Ok(Arc::new(config))
    }
}

fn config(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    authorities: Option<Vec<CertificateDer<'static>>>,
) -> Result<ServerConfig, Box<dyn std::error::Error + Send + Sync>> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder =
        ServerConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions()?;
    let builder = match authorities {
        None => builder.with_no_client_auth(),
        Some(authorities) => {
            let mut roots = RootCertStore::empty();
            for certificate in authorities {
                roots.add(certificate)?;
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build()?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    Ok(builder.with_single_cert(chain, key)?)
}

fn certificates(file: &Path, what: &'static str) -> Result<Vec<CertificateDer<'static>>, CertificateError> {
    let read = CertificateDer::pem_file_iter(file).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    match read {
        Ok(found) if found.is_empty() => Err(unreadable(file, what, PemError::NoItemsFound)),
        Ok(found) => Ok(found),
        Err(error) => Err(unreadable(file, what, error)),
    }
}

fn unreadable(path: &Path, what: &'static str, source: PemError) -> CertificateError {
    CertificateError::Unreadable { path: path.to_owned(), what, source }
}

/// What new connections get.
#[derive(Debug)]
pub struct CurrentCertificate(RwLock<Arc<ServerConfig>>);

impl CurrentCertificate {
    #[must_use]
    pub fn new(config: Arc<ServerConfig>) -> Arc<Self> {
        Arc::new(Self(RwLock::new(config)))
    }

    pub fn replace(&self, config: Arc<ServerConfig>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = config;
    }

    #[must_use]
    pub fn get(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }
}
