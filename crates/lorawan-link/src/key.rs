//! AES keys. They cannot be printed and are wiped from memory when they are dropped.
//!
//! The ciphers of crate `lorawan` hold a copy during a call and do not wipe it.

use std::fmt;
use std::str::FromStr;

use lorawan::keys::AES128;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use zeroize::Zeroizing;

/// An AES-128 key: an AppKey or a session key.
///
/// [`Serialize`] writes it in hex. That is for the session store only.
#[derive(Clone, PartialEq, Eq)]
pub struct Key(Zeroizing<[u8; 16]>);

impl Key {
    /// Takes ownership of the bytes.
    #[must_use]
    pub fn new(bytes: [u8; 16]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// The key in the cipher's type.
    pub(crate) fn expose(&self) -> AES128 {
        AES128(*self.0)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(…)")
    }
}

/// Why a text is not a key. Does not contain the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    #[error("a LoRaWAN key has {length} characters; write its 16 bytes as 32 hex digits")]
    Length { length: usize },
    #[error("a LoRaWAN key has a character that is no hex digit; write its 16 bytes as 32 hex digits")]
    Digit,
}

impl FromStr for Key {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        if text.len() != 32 {
            return Err(KeyError::Length { length: text.chars().count() });
        }
        let mut bytes = Zeroizing::new([0; 16]);
        hex::decode_to_slice(text, bytes.as_mut_slice()).map_err(|_| KeyError::Digit)?;
        Ok(Self(bytes))
    }
}

impl Serialize for Key {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut digits = Zeroizing::new([0; 32]);
        hex::encode_to_slice(self.0.as_slice(), digits.as_mut_slice()).map_err(serde::ser::Error::custom)?;
        let text = std::str::from_utf8(digits.as_slice()).map_err(serde::ser::Error::custom)?;
        serializer.serialize_str(text)
    }
}

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Zeroizing::new(String::deserialize(deserializer)?);
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "2b7e151628aed2a6abf7158809cf4f3C";

    #[test]
    fn keys_read_from_hex_and_go_through_a_store() {
        let key: Key = TEXT.parse().unwrap();
        assert_eq!(key.expose().0[..3], [0x2b, 0x7e, 0x15]);
        let stored = serde_json::to_string(&key).unwrap();
        assert_eq!(stored, format!("\"{}\"", TEXT.to_lowercase()));
        assert_eq!(serde_json::from_str::<Key>(&stored).unwrap(), key);
    }

    #[test]
    fn neither_a_key_nor_a_wrong_one_prints() {
        let key: Key = TEXT.parse().unwrap();
        assert_eq!(format!("{key:?}"), "Key(…)");
        let wrong = TEXT.replace('2', "x").parse::<Key>().unwrap_err();
        assert_eq!(wrong, KeyError::Digit);
        assert_eq!("abcd".parse::<Key>().unwrap_err(), KeyError::Length { length: 4 });
        assert_eq!("é".repeat(16).parse::<Key>().unwrap_err(), KeyError::Digit);
    }
}
