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
        Some(digits) => from_hex(digits.trim()).ok_or(BadKey::NotHex)?,
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
    Secret::new(text.unwrap_or_else(|_| format!("hex:{}", to_hex(bytes))))
}

fn from_hex(digits: &str) -> Option<Vec<u8>> {
    let (pairs, rest) = digits.as_bytes().as_chunks::<2>();
    let nibble = |digit: u8| char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok());
    let byte = |[high, low]: &[u8; 2]| Some(nibble(*high)? << 4 | nibble(*low)?);
    if rest.is_empty() { pairs.iter().map(byte).collect() } else { None }
}

fn to_hex(bytes: &[u8]) -> String {
    let digit = |nibble: u8| char::from_digit(u32::from(nibble), 16).unwrap_or('0');
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
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
