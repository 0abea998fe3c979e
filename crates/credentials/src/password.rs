//! Checks a password against the configured password or Argon2 hash, and makes such hashes.

use std::net::IpAddr;
use std::sync::{Mutex, OnceLock, PoisonError};

use argon2::password_hash::{self, PasswordHash, PasswordHasher as _, Salt, SaltString};
use argon2::{Argon2, Block, Params};
use gateway_core::settings::Secret;

use crate::turns;

/// A password or its hash.
#[derive(Debug, Clone)]
pub enum PasswordSource {
    /// The password itself.
    Plain(Secret),
    /// Its hash as a PHC string: `$argon2id$v=19$m=19456,t=2,p=1$…$…`.
    Argon2Hash(String),
    /// There is none: every password is wrong. For users who come with a certificate.
    None,
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

    /// Whether it can be used.
    ///
    /// # Errors
    /// The password is empty, or the hash is broken.
    pub fn check(&self) -> Result<(), InvalidPassword> {
        match self {
            Self::Plain(secret) if secret.expose().is_empty() => Err(InvalidPassword::Empty),
            Self::Plain(_) | Self::None => Ok(()),
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

/// The result of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Checked {
    Right,
    Wrong,
    /// Too many wait: ask again later.
    Busy,
}

/// Too many wait: ask again later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Busy;

/// Checks one user's password.
#[derive(Debug)]
pub struct Verifier {
    source: PasswordSource,
    /// The password after it matched the hash once: from then on neither right nor wrong ones cost a hash.
    known: OnceLock<Secret>,
}

impl Verifier {
    /// For one password.
    #[must_use]
    pub const fn new(source: PasswordSource) -> Self {
        Self { source, known: OnceLock::new() }
    }

    /// Whether `password`, sent from `peer`, is right.
    pub async fn check(&self, password: &[u8], peer: IpAddr) -> Checked {
        match find(&[self], password, peer).await {
            Ok(Some(_)) => Checked::Right,
            Ok(None) => Checked::Wrong,
            Err(Busy) => Checked::Busy,
        }
    }

    /// What can be said without a hash; else the hash.
    fn without_hash(&self, password: &[u8]) -> Result<bool, &str> {
        match (&self.source, self.known.get()) {
            (PasswordSource::Plain(secret), _) | (PasswordSource::Argon2Hash(_), Some(secret)) => {
                Ok(same(secret.expose().as_bytes(), password))
            }
            (PasswordSource::None, _) => Ok(false),
            (PasswordSource::Argon2Hash(hash), None) => Err(hash),
        }
    }
}

/// The first of these whose password it is, sent from `peer`. All that need a hash have one turn together.
///
/// # Errors
/// Too many wait for their turn.
pub async fn find(verifiers: &[&Verifier], password: &[u8], peer: IpAddr) -> Result<Option<usize>, Busy> {
    let known =
        |verifiers: &[&Verifier]| verifiers.iter().position(|one| one.without_hash(password) == Ok(true));
    let needs_hash =
        |verifiers: &[&Verifier]| verifiers.iter().any(|one| one.without_hash(password).is_err());
    if let Some(found) = known(verifiers) {
        return Ok(Some(found));
    }
    let Some(text) = std::str::from_utf8(password).ok().filter(|_| needs_hash(verifiers)) else {
        return Ok(None);
    };
    let turn = turns::take(peer).await.ok_or(Busy)?;
    // While it waited the password may have become known.
    if let Some(found) = known(verifiers) {
        return Ok(Some(found));
    }
    let candidate = Secret::new(text.to_owned());
    let hash =
        |(index, one): (usize, &&Verifier)| Some((index, one.without_hash(password).err()?.to_owned()));
    let hashes: Vec<(usize, String)> = verifiers.iter().enumerate().filter_map(hash).collect();
    let tried = candidate.clone();
    // The turn goes with the task: it runs to its end even if nobody waits for it any more.
    let found = tokio::task::spawn_blocking(move || {
        let found = hashes.iter().find(|(_, hash)| matches(hash, &tried)).map(|(index, _)| *index);
        turn.end(found.is_some());
        found
    });
    let found = found.await.unwrap_or(None);
    if let Some(verifier) = found.and_then(|index| verifiers.get(index)) {
        // Fails if another client was first, with the same password.
        let _ = verifier.known.set(candidate);
    }
    Ok(found)
}

/// The memory of a check, of the largest hash so far. One for all checks: each would else take its own from the heap of
/// the thread that it runs on, and every thread's heap keeps what it had.
static BLOCKS: Mutex<Vec<Block>> = Mutex::new(Vec::new());

fn matches(hash: &str, candidate: &Secret) -> bool {
    try_matches(hash, candidate).unwrap_or(false)
}

fn try_matches(hash: &str, candidate: &Secret) -> password_hash::Result<bool> {
    let hash = PasswordHash::new(hash)?;
    let version = hash.version.map(argon2::Version::try_from).transpose()?.unwrap_or_default();
    let params = Params::try_from(&hash)?;
    let (Some(salt), Some(expected)) = (hash.salt, hash.hash) else { return Ok(false) };
    let mut room = [0; Salt::MAX_LENGTH];
    let salt = salt.decode_b64(&mut room)?;
    let mut blocks = BLOCKS.lock().unwrap_or_else(PoisonError::into_inner);
    let needed = blocks.len().max(params.block_count());
    blocks.resize(needed, Block::default());
    let argon2 = Argon2::new(hash.algorithm.try_into()?, version, params);
    let mut computed = vec![0; expected.len()];
    let password = candidate.expose().as_bytes();
    argon2.hash_password_into_with_memory(password, salt, &mut computed, &mut blocks[..])?;
    Ok(same(expected.as_bytes(), &computed))
}

/// The Argon2id hash of a password as a PHC string, with the library's parameters (19 MiB, 2 passes) and a salt of 16 random
/// bytes.
///
/// # Errors
/// Never with a password of at most 4 GiB.
pub fn hash(password: &Secret) -> Result<String, InvalidPassword> {
    let invalid = |error: password_hash::Error| InvalidPassword::Hash { reason: error.to_string() };
    let salt = SaltString::encode_b64(&rand::random::<[u8; 16]>()).map_err(invalid)?;
    let hash = Argon2::default().hash_password(password.expose().as_bytes(), &salt).map_err(invalid)?;
    Ok(hash.to_string())
}

/// Compares in constant time: the time does not show where two texts of the same length differ.
#[must_use]
pub fn same(left: &[u8], right: &[u8]) -> bool {
    left.len() == right.len()
        && left.iter().zip(right).fold(0, |difference, (left, right)| difference | (left ^ right)) == 0
}

#[cfg(test)]
mod tests;
