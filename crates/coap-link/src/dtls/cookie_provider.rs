//! A crypto provider with which `dimpl` accepts a cookie that we have verified.
//!
//! `dimpl` derives cookies from a secret of each instance, so it would need an instance for every ClientHello, forged ones
//! included. It computes them with the provider's `hmac_sha256`, which it uses for nothing else (keys are derived with
//! `hmac`). Within [`with_accepted_cookie`], this provider returns the cookie that `cookie.rs` has verified. If `dimpl` changes
//! that, no handshake succeeds and every test of this crate fails.

use std::cell::Cell;

use dimpl::CryptoError;
use dimpl::crypto::rust_crypto;
use dimpl::crypto::{CryptoProvider, HashAlgorithm, HmacProvider};

use super::hello::COOKIE_LENGTH;

thread_local! {
    static ACCEPTED_COOKIE: Cell<Option<[u8; COOKIE_LENGTH]>> = const { Cell::new(None) };
}

/// The provider of RustCrypto, except for the cookie.
pub(super) fn provider() -> CryptoProvider {
    CryptoProvider { hmac_provider: &CookieHmac, ..rust_crypto::default_provider() }
}

/// Runs `call`, in which `dimpl` accepts `cookie`.
pub(super) fn with_accepted_cookie<T>(cookie: [u8; COOKIE_LENGTH], call: impl FnOnce() -> T) -> T {
    /// Also resets when `call` panics.
    struct ResetOnDrop;
    impl Drop for ResetOnDrop {
        fn drop(&mut self) {
            ACCEPTED_COOKIE.set(None);
        }
    }
    let _ends = ResetOnDrop;
    ACCEPTED_COOKIE.set(Some(cookie));
    call()
}

/// HMAC-SHA256 (RFC 2104).
pub(super) fn hmac_sha256(key: &[u8], data: &[u8]) -> Option<[u8; 32]> {
    rust_crypto::default_provider().hmac_provider.hmac_sha256(key, data).ok()
}

#[derive(Debug)]
struct CookieHmac;

impl HmacProvider for CookieHmac {
    fn hmac(
        &self,
        hash: HashAlgorithm,
        key: &[u8],
        data: &[u8],
        out: &mut [u8],
    ) -> Result<usize, CryptoError> {
        rust_crypto::default_provider().hmac_provider.hmac(hash, key, data, out)
    }

    fn hmac_sha256(&self, key: &[u8], data: &[u8]) -> Result<[u8; 32], CryptoError> {
        match ACCEPTED_COOKIE.get() {
            Some(cookie) => Ok(cookie),
            None => rust_crypto::default_provider().hmac_provider.hmac_sha256(key, data),
        }
    }
}
