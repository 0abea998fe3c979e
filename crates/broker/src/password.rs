//! Checks a user's password against the configured password or Argon2 hash.

use argon2::Argon2;
use argon2::password_hash::{PasswordHash, PasswordVerifier};
use gateway_core::settings::Secret;
use tokio::sync::{Mutex, Semaphore};

/// A password or its hash.
#[derive(Debug, Clone)]
pub enum PasswordSource {
    /// The password itself.
    Plain(Secret),
    /// Its hash as a PHC string: `$argon2id$v=19$m=19456,t=2,p=1$…$…`.
    Argon2Hash(String),
}

/// The text of a password file cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPassword {
    /// The text is empty.
    #[error("the password is empty; anyone could guess it")]
    Empty,
    /// It begins like an Argon2 hash but is not one.
    #[error(
        "the Argon2 hash cannot be read ({reason}); a PHC string like $argon2id$v=19$m=…,t=…,p=…$salt$hash is needed"
    )]
    Hash {
        /// What the parser said.
        reason: String,
    },
}

impl PasswordSource {
    /// Reads the text of a password file, without its last newline: an Argon2 PHC string if it begins with `$argon2`,
    /// else the password itself.
    ///
    /// # Errors
    /// The text is empty, or is a broken PHC string.
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

/// The most that a hash may cost: memory in KiB, passes, lanes. The memory is four times RFC 9106's second choice.
const MAX_KIB: u32 = 256 * 1024;
const MAX_PASSES: u32 = 64;
const MAX_LANES: u32 = 64;

fn check_hash(hash: &str) -> Result<(), InvalidPassword> {
    let invalid = |reason: &str| InvalidPassword::Hash { reason: reason.to_owned() };
    let parsed = PasswordHash::new(hash).map_err(|error| invalid(&error.to_string()))?;
    if parsed.salt.is_none() || parsed.hash.is_none() {
        return Err(invalid("it has no salt or no hash"));
    }
    // A login must not cost too much; the largest numbers also overflow in the library.
    for (name, most) in [("m", MAX_KIB), ("t", MAX_PASSES), ("p", MAX_LANES)] {
        if parsed.params.get_decimal(name).is_some_and(|number| number > most) {
            return Err(invalid(&format!("{name} is more than {most}")));
        }
    }
    let known = argon2::Algorithm::try_from(parsed.algorithm).and(argon2::Params::try_from(&parsed));
    known.map(|_| ()).map_err(|error| invalid(&error.to_string()))
}

/// Argon2 costs tens of milliseconds and megabytes by design: one check at a time, off the async threads.
static CHECK_PERMIT: Semaphore = Semaphore::const_new(1);

/// Checks one user's password.
#[derive(Debug)]
pub(crate) struct Verifier {
    source: PasswordSource,
    /// The password after it matched the hash once, so that many clients that reconnect together do not wait.
    cached: Mutex<Option<Secret>>,
}

impl Verifier {
    pub(crate) fn new(source: PasswordSource) -> Self {
        Self { source, cached: Mutex::new(None) }
    }

    pub(crate) async fn accepts(&self, password: &[u8]) -> bool {
        match &self.source {
            PasswordSource::Plain(secret) => same(secret.expose().as_bytes(), password),
            PasswordSource::Argon2Hash(hash) => self.accepts_hashed(hash, password).await,
        }
    }

    async fn accepts_hashed(&self, hash: &str, password: &[u8]) -> bool {
        let matches_cached = |cached: &Option<Secret>| {
            cached.as_ref().is_some_and(|cached| same(cached.expose().as_bytes(), password))
        };
        if matches_cached(&*self.cached.lock().await) {
            return true;
        }
        let (Ok(_permit), Ok(text)) = (CHECK_PERMIT.acquire().await, std::str::from_utf8(password)) else {
            return false;
        };
        if matches_cached(&*self.cached.lock().await) {
            return true;
        }
        let secret = Secret::new(text.to_owned());
        let (hash, candidate) = (hash.to_owned(), secret.clone());
        let matches = tokio::task::spawn_blocking(move || matches(&hash, &candidate)).await.unwrap_or(false);
        if matches {
            *self.cached.lock().await = Some(secret);
        }
        matches
    }
}

fn matches(hash: &str, candidate: &Secret) -> bool {
    PasswordHash::new(hash)
        .is_ok_and(|hash| Argon2::default().verify_password(candidate.expose().as_bytes(), &hash).is_ok())
}

/// Compares in constant time: the time does not show where two texts of the same length differ.
pub(crate) fn same(left: &[u8], right: &[u8]) -> bool {
    left.len() == right.len()
        && left.iter().zip(right).fold(0, |difference, (left, right)| difference | (left ^ right)) == 0
}

#[cfg(test)]
mod tests;
