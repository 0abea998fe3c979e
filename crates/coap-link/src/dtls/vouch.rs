//! Lets `dimpl` accept a cookie that we have checked.
//!
//! `dimpl` makes cookies with a secret of each instance, so it would need an instance for every ClientHello, forged
//! ones included. Its cookie comes from the provider's `hmac_sha256`, which serves nothing else in it (keys are derived
//! with `hmac`). So the provider here answers, within [`vouching_for`] alone, with the cookie that `cookie.rs` has
//! found to be ours. Should `dimpl` change that, no handshake succeeds and every test of this room fails.

use std::cell::Cell;

use dimpl::CryptoError;
use dimpl::crypto::rust_crypto;
use dimpl::crypto::{CryptoProvider, HashAlgorithm, HmacProvider};

use super::hello::COOKIE;

thread_local! {
    static VOUCHED: Cell<Option<[u8; COOKIE]>> = const { Cell::new(None) };
}

/// RustCrypto's functions, but for the cookie.
pub(super) fn provider() -> CryptoProvider {
    CryptoProvider { hmac_provider: &Vouching, ..rust_crypto::default_provider() }
}

/// Runs `call`, within which `dimpl` takes `cookie` for the right one.
pub(super) fn vouching_for<T>(cookie: [u8; COOKIE], call: impl FnOnce() -> T) -> T {
    /// Ends it also where `call` panics.
    struct Ends;
    impl Drop for Ends {
        fn drop(&mut self) {
            VOUCHED.set(None);
        }
    }
    let _ends = Ends;
    VOUCHED.set(Some(cookie));
    call()
}

/// HMAC-SHA256 (RFC 2104).
pub(super) fn hmac_sha256(key: &[u8], data: &[u8]) -> Option<[u8; 32]> {
    rust_crypto::default_provider().hmac_provider.hmac_sha256(key, data).ok()
}

#[derive(Debug)]
struct Vouching;

impl HmacProvider for Vouching {
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
        match VOUCHED.get() {
            Some(cookie) => Ok(cookie),
            None => rust_crypto::default_provider().hmac_provider.hmac_sha256(key, data),
        }
    }
}
