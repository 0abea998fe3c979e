//! Stateless cookies (RFC 6347, 4.2.1): a client proves that it receives at its address before any state is kept for it.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use zeroize::Zeroizing;

use super::cookie_provider;
use super::hello::{COOKIE_LENGTH, Hello};

/// A cookie is valid for one to two of these periods.
const ROTATE: Duration = Duration::from_secs(60);

/// Creates and verifies cookies.
#[derive(Debug)]
pub(super) struct Cookies {
    current: Secret,
    previous: Secret,
    rotated: Instant,
}

struct Secret(Zeroizing<[u8; 32]>);

impl Secret {
    fn random() -> Self {
        Self(Zeroizing::new(rand::random()))
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl Cookies {
    pub(super) fn new(now: Instant) -> Self {
        Self { current: Secret::random(), previous: Secret::random(), rotated: now }
    }

    /// The cookie for a client at `address` with this ClientHello.
    pub(super) fn make(
        &mut self,
        address: SocketAddr,
        hello: &Hello<'_>,
        now: Instant,
    ) -> Option<[u8; COOKIE_LENGTH]> {
        self.rotate(now);
        cookie(&self.current, address, hello)
    }

    /// The cookie of the ClientHello, if we created it for this client at this address within the last one to two minutes.
    pub(super) fn check(
        &mut self,
        address: SocketAddr,
        hello: &Hello<'_>,
        now: Instant,
    ) -> Option<[u8; COOKIE_LENGTH]> {
        self.rotate(now);
        let shown: [u8; COOKIE_LENGTH] = hello.cookie.try_into().ok()?;
        [&self.current, &self.previous]
            .into_iter()
            .filter_map(|secret| cookie(secret, address, hello))
            .find(|ours| constant_time_eq(ours, &shown))
    }

    fn rotate(&mut self, now: Instant) {
        let age = now.saturating_duration_since(self.rotated);
        if age < ROTATE {
            return;
        }
        let retired = std::mem::replace(&mut self.current, Secret::random());
        self.previous = if age < ROTATE * 2 { retired } else { Secret::random() };
        self.rotated = now;
    }
}

/// HMAC-SHA256 over the address and the repeated fields. Each part is preceded by its length.
fn cookie(secret: &Secret, address: SocketAddr, hello: &Hello<'_>) -> Option<[u8; COOKIE_LENGTH]> {
    let place = address.to_string();
    let [before, after] = hello.repeated;
    let mut data = Vec::with_capacity(256);
    for part in [place.as_bytes(), before, after] {
        data.extend(u64::try_from(part.len()).ok()?.to_be_bytes());
        data.extend(part);
    }
    cookie_provider::hmac_sha256(&secret.0[..], &data)
}

/// Compares in constant time.
fn constant_time_eq(ours: &[u8; COOKIE_LENGTH], shown: &[u8; COOKIE_LENGTH]) -> bool {
    ours.iter().zip(shown).fold(0, |difference, (a, b)| difference | (a ^ b)) == 0
}
