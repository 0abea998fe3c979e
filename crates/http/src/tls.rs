//! The page's certificate.

use std::sync::Arc;

use credentials::{CertificateError, CertificateFiles};
use rustls::ServerConfig;

use crate::config::Config;

/// With the certificate of `config`; none where there is none.
pub(crate) fn server_config(config: &Config) -> Result<Option<Arc<ServerConfig>>, CertificateError> {
    let (Some(cert_file), Some(key_file)) = (&config.cert_file, &config.key_file) else { return Ok(None) };
    let files = CertificateFiles { cert_file, key_file, client_ca_file: None, protocols: &[b"http/1.1"] };
    files.read().map(Some)
}
