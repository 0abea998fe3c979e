//! Pre-shared keys as the configuration writes them.

use coap_link::dtls::{Key, KeyError};
use gateway_core::settings::Secret;

/// Shorter keys can be found by trying (RFC 4279, 5.2, of keys that people choose), in bytes.
pub const SHORT_KEY: usize = 16;

/// A text that is no key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadKey {
    /// Behind `hex:` stands something else.
    #[error("after hex: an even number of hexadecimal digits is wanted")]
    NotHex,
    /// Too long, or empty.
    #[error(transparent)]
    Length(#[from] KeyError),
}

/// The bytes of a key: those of the text, or those that `hex:…` writes.
///
/// # Errors
/// Behind `hex:` stands something else, or the key is empty or too long.
pub fn read(text: &Secret) -> Result<(Key, usize), BadKey> {
    let text = text.expose();
    let bytes = match text.strip_prefix("hex:") {
        Some(digits) => hex::decode(digits.trim()).map_err(|_| BadKey::NotHex)?,
        None => text.as_bytes().to_vec(),
    };
    let length = bytes.len();
    Ok((Key::new(bytes)?, length))
}

/// The key that a file holds: as it stands, or as `hex:…` where it is no text.
#[must_use]
pub fn from_file(bytes: &[u8]) -> Secret {
    let bytes = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    let text = std::str::from_utf8(bytes).map(str::to_owned);
    Secret::new(text.unwrap_or_else(|_| format!("hex:{}", hex::encode(bytes))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn length(text: &str) -> Result<usize, BadKey> {
        read(&Secret::new(text.to_owned())).map(|(_, length)| length)
    }

    #[test]
    fn a_key_is_its_bytes_or_hexadecimal() {
        assert_eq!(length("secretPSK"), Ok(9));
        assert_eq!(length("hex:00ffA0"), Ok(3));
        assert_eq!(length("hex:00f"), Err(BadKey::NotHex));
        assert_eq!(length("hex:zz"), Err(BadKey::NotHex));
        assert_eq!(length(""), Err(BadKey::Length(KeyError::EmptyKey)));
        assert_eq!(length("hex:"), Err(BadKey::Length(KeyError::EmptyKey)));
    }

    #[test]
    fn a_file_loses_one_newline_and_may_hold_any_bytes() {
        assert_eq!(from_file(b"key\n\n").expose(), "key\n");
        assert_eq!(from_file(b"hex:00\n").expose(), "hex:00");
        assert_eq!(from_file(b"\xff\x00\n").expose(), "hex:ff00");
    }
}
