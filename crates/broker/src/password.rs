//! How a user is recognised: a password from a file, or its Argon2 hash.

use argon2::Argon2;
use argon2::password_hash::{PasswordHash, PasswordVerifier};
use gateway_core::settings::Secret;
use tokio::sync::{Mutex, Semaphore};

/// A password, or what is left of one.
#[derive(Debug, Clone)]
pub enum PasswordSource {
    /// The password itself.
    Plain(Secret),
    /// Its hash as a PHC string: `$argon2id$v=19$m=19456,t=2,p=1$…$…`.
    Argon2Hash(String),
}

/// A password file's text that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPassword {
    /// Nothing in it.
    #[error("the password is empty; anyone could guess it")]
    Empty,
    /// Begins like an Argon2 hash and is none.
    #[error(
        "the Argon2 hash cannot be read ({reason}); a PHC string like $argon2id$v=19$m=…,t=…,p=…$salt$hash is needed"
    )]
    Hash {
        /// What the parser said.
        reason: String,
    },
}

impl PasswordSource {
    /// From a password file's text, without its last newline: an Argon2 PHC string where it begins with `$argon2`,
    /// else the password itself.
    ///
    /// # Errors
    /// Where it is empty, or a broken PHC string.
    pub fn from_text(text: &str) -> Result<Self, InvalidPassword> {
        let text = text.strip_suffix('\n').unwrap_or(text);
        let text = text.strip_suffix('\r').unwrap_or(text);
        let source = if text.starts_with("$argon2") {
            Self::Argon2Hash(text.to_owned())
        } else {
            Self::Plain(Secret::new(text.to_owned()))
        };
        source.check().map(|()| source)
    }

    pub(crate) fn check(&self) -> Result<(), InvalidPassword> {
        match self {
            Self::Plain(secret) if secret.expose().is_empty() => Err(InvalidPassword::Empty),
            Self::Plain(_) => Ok(()),
            Self::Argon2Hash(hash) => check_hash(hash),
        }
    }
}

/// What a hash may cost at most: memory in KiB, passes, lanes. Four times RFC 9106's second choice.
const MOST_KIB: u32 = 256 * 1024;
const MOST_PASSES: u32 = 64;
const MOST_LANES: u32 = 64;

fn check_hash(hash: &str) -> Result<(), InvalidPassword> {
    let invalid = |reason: &str| InvalidPassword::Hash { reason: reason.to_owned() };
    let parsed = PasswordHash::new(hash).map_err(|error| invalid(&error.to_string()))?;
    if parsed.salt.is_none() || parsed.hash.is_none() {
        return Err(invalid("it has no salt or no hash"));
    }
    // What a login would cost; the largest numbers also overflow in the library.
    for (name, most) in [("m", MOST_KIB), ("t", MOST_PASSES), ("p", MOST_LANES)] {
        if parsed.params.get_decimal(name).is_some_and(|number| number > most) {
            return Err(invalid(&format!("{name} is more than {most}")));
        }
    }
    let known = argon2::Algorithm::try_from(parsed.algorithm).and(argon2::Params::try_from(&parsed));
    known.map(|_| ()).map_err(|error| invalid(&error.to_string()))
}

/// Argon2 costs tens of milliseconds and megabytes by design: one check at a time, off the async threads.
static ONE_CHECK: Semaphore = Semaphore::const_new(1);

/// Recognises one user's password.
#[derive(Debug)]
pub(crate) struct Verifier {
    source: PasswordSource,
    /// The password once it was found to fit the hash, so that a building that reconnects as one is not held up.
    known: Mutex<Option<Secret>>,
}

impl Verifier {
    pub(crate) fn new(source: PasswordSource) -> Self {
        Self { source, known: Mutex::new(None) }
    }

    pub(crate) async fn accepts(&self, password: &[u8]) -> bool {
        match &self.source {
            PasswordSource::Plain(secret) => same(secret.expose().as_bytes(), password),
            PasswordSource::Argon2Hash(hash) => self.accepts_hashed(hash, password).await,
        }
    }

    async fn accepts_hashed(&self, hash: &str, password: &[u8]) -> bool {
        let known = |known: &Option<Secret>| {
            known.as_ref().is_some_and(|known| same(known.expose().as_bytes(), password))
        };
        if known(&*self.known.lock().await) {
            return true;
        }
        let (Ok(_permit), Ok(text)) = (ONE_CHECK.acquire().await, std::str::from_utf8(password)) else {
            return false;
        };
        if known(&*self.known.lock().await) {
            return true;
        }
        let secret = Secret::new(text.to_owned());
        let (hash, candidate) = (hash.to_owned(), secret.clone());
        let fits = tokio::task::spawn_blocking(move || fits(&hash, &candidate)).await.unwrap_or(false);
        if fits {
            *self.known.lock().await = Some(secret);
        }
        fits
    }
}

fn fits(hash: &str, candidate: &Secret) -> bool {
    PasswordHash::new(hash)
        .is_ok_and(|hash| Argon2::default().verify_password(candidate.expose().as_bytes(), &hash).is_ok())
}

/// Compares in a time that does not tell where two texts of one length differ.
pub(crate) fn same(left: &[u8], right: &[u8]) -> bool {
    left.len() == right.len()
        && left.iter().zip(right).fold(0, |difference, (left, right)| difference | (left ^ right)) == 0
}

#[cfg(test)]
mod tests;
