//! Stateless cookies (RFC 6347, 4.2.1): a client proves that it receives at its address before anything is kept for it.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use zeroize::Zeroizing;

use super::hello::{COOKIE, Hello};
use super::vouch;

/// A cookie is good for one to two of these.
const ROTATE: Duration = Duration::from_secs(60);

/// Makes cookies and knows its own again.
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

    /// The cookie for a client at `address` that says `hello`.
    pub(super) fn make(
        &mut self,
        address: SocketAddr,
        hello: &Hello<'_>,
        now: Instant,
    ) -> Option<[u8; COOKIE]> {
        self.rotate(now);
        cookie(&self.current, address, hello)
    }

    /// The hello's cookie, where we made it for this client at this address within the last minute or two.
    pub(super) fn check(
        &mut self,
        address: SocketAddr,
        hello: &Hello<'_>,
        now: Instant,
    ) -> Option<[u8; COOKIE]> {
        self.rotate(now);
        let shown: [u8; COOKIE] = hello.cookie.try_into().ok()?;
        [&self.current, &self.previous]
            .into_iter()
            .filter_map(|secret| cookie(secret, address, hello))
            .find(|ours| same(ours, &shown))
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

/// HMAC-SHA256 over where the client is and what it must repeat. Each part goes in with its length before it.
fn cookie(secret: &Secret, address: SocketAddr, hello: &Hello<'_>) -> Option<[u8; COOKIE]> {
    let place = address.to_string();
    let [before, after] = hello.repeated;
    let mut data = Vec::with_capacity(256);
    for part in [place.as_bytes(), before, after] {
        data.extend(u64::try_from(part.len()).ok()?.to_be_bytes());
        data.extend(part);
    }
    vouch::hmac_sha256(&secret.0[..], &data)
}

/// Compares in a time that does not tell how much is alike.
fn same(ours: &[u8; COOKIE], shown: &[u8; COOKIE]) -> bool {
    ours.iter().zip(shown).fold(0, |difference, (a, b)| difference | (a ^ b)) == 0
}
