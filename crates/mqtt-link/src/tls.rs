//! Loads certificates and keys into a rustls configuration, for connections and for `riser check`.
//!
//! The ring provider is named explicitly, so no process-wide default is needed or set.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::{Error as PemError, PemObject};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use crate::Tls;

#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The file cannot be read or is not PEM.
    #[error("cannot read {what} from {}; it must be a PEM file that the gateway's user may read", path.display())]
    File {
        what: &'static str,
        path: PathBuf,
        #[source]
        source: PemError,
    },
    /// The file can be read but does not contain what it should.
    #[error("{} holds no {what}; it must have a `-----BEGIN` block of that kind", path.display())]
    Nothing { what: &'static str, path: PathBuf },
    /// The file contains a certificate that does not parse.
    #[error("{} holds a certificate that cannot be used as a certificate authority", path.display())]
    Authority {
        path: PathBuf,
        #[source]
        source: rustls::Error,
    },
    #[error("this machine has no certificates to trust; install ca-certificates or set ca_file{reason}")]
    NoMachineCertificates {
        /// `: ` and the system's error, or empty.
        reason: String,
    },
    #[error("cert_file and key_file belong together; set both or neither")]
    HalfAPair,
    /// They do not match, or the kind of key is unknown.
    #[error("the certificate in {} and the key in {} do not fit together", cert.display(), key.display())]
    Pair {
        cert: PathBuf,
        key: PathBuf,
        #[source]
        source: rustls::Error,
    },
    #[error("TLS cannot be set up")]
    Setup {
        #[source]
        source: rustls::Error,
    },
}

/// [`load`], on a thread that may wait for the disk.
///
/// # Errors
/// For people: a file cannot be used.
pub async fn load_in_background(tls: &Tls) -> Result<Arc<ClientConfig>, String> {
    let files = tls.clone();
    let loaded = tokio::task::spawn_blocking(move || load(&files)).await;
    loaded.map_err(|error| error.to_string())?.map_err(|error| gateway_core::chain(&error))
}

/// Reads all files named in `tls`. Blocking.
pub fn load(tls: &Tls) -> Result<Arc<ClientConfig>, TlsError> {
    let roots = match &tls.ca_file {
        Some(path) => roots_from(path)?,
        None => machine_roots()?,
    };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|source| TlsError::Setup { source })?
        .with_root_certificates(roots);
    let config = match (&tls.cert_file, &tls.key_file) {
        (None, None) => builder.with_no_client_auth(),
        (Some(cert), Some(key)) => {
            let pair = |source| TlsError::Pair { cert: cert.clone(), key: key.clone(), source };
            builder.with_client_auth_cert(certificates(cert)?, private_key(key)?).map_err(pair)?
        }
        _ => return Err(TlsError::HalfAPair),
    };
    Ok(Arc::new(config))
}

fn roots_from(path: &Path) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path)? {
        roots.add(certificate).map_err(|source| TlsError::Authority { path: path.to_owned(), source })?;
    }
    Ok(roots)
}

// Unusual certificates among the machine's are skipped.
fn machine_roots() -> Result<RootCertStore, TlsError> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        let reason = found.errors.first().map(|error| format!(": {error}")).unwrap_or_default();
        return Err(TlsError::NoMachineCertificates { reason });
    }
    Ok(roots)
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    const WHAT: &str = "certificate";
    let file = |source| TlsError::File { what: WHAT, path: path.to_owned(), source };
    let certificates: Vec<_> =
        CertificateDer::pem_file_iter(path).map_err(file)?.collect::<Result<_, _>>().map_err(file)?;
    if certificates.is_empty() {
        return Err(TlsError::Nothing { what: WHAT, path: path.to_owned() });
    }
    Ok(certificates)
}

fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    const WHAT: &str = "private key";
    PrivateKeyDer::from_pem_file(path).map_err(|source| match source {
        PemError::NoItemsFound => TlsError::Nothing { what: WHAT, path: path.to_owned() },
        source => TlsError::File { what: WHAT, path: path.to_owned(), source },
    })
}
