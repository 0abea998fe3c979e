//! Certificates and keys, from files to a rustls configuration; used to connect and by `riser check`.
//!
//! The cryptography is ring's, named explicitly: no process-wide default is needed or set.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::{Error as PemError, PemObject};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use crate::Tls;

/// Why TLS cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file that cannot be read, or is not PEM.
    #[error("cannot read {what} from {}; it must be a PEM file that the gateway's user may read", path.display())]
    File {
        /// What it should hold.
        what: &'static str,
        /// Which.
        path: PathBuf,
        /// What went wrong.
        #[source]
        source: PemError,
    },
    /// A readable file without what it should hold.
    #[error("{} holds no {what}; it must have a `-----BEGIN` block of that kind", path.display())]
    Nothing {
        /// What it should hold.
        what: &'static str,
        /// Which.
        path: PathBuf,
    },
    /// Certificates that cannot be trusted because they do not parse.
    #[error("{} holds a certificate that cannot be used as a certificate authority", path.display())]
    Authority {
        /// Which.
        path: PathBuf,
        /// What is wrong.
        #[source]
        source: rustls::Error,
    },
    /// The machine has no certificate authorities.
    #[error("this machine has no certificates to trust; install ca-certificates or set ca_file{reason}")]
    NoMachineCertificates {
        /// `: ` and what the machine said, or empty.
        reason: String,
    },
    /// One of the pair is missing.
    #[error("cert_file and key_file belong together; set both or neither")]
    HalfAPair,
    /// They do not fit each other, or the key is of an unknown kind.
    #[error("the certificate in {} and the key in {} do not fit together", cert.display(), key.display())]
    Pair {
        /// `cert_file`.
        cert: PathBuf,
        /// `key_file`.
        key: PathBuf,
        /// What rustls said.
        #[source]
        source: rustls::Error,
    },
    /// ring does not offer what rustls needs.
    #[error("TLS cannot be set up")]
    Setup {
        /// What rustls said.
        #[source]
        source: rustls::Error,
    },
}

/// Reads all files named in `tls`. Blocks for as long as that takes.
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

/// A few odd certificates among a machine's are no reason to trust none.
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
