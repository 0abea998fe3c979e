//! Whose advertisement, and the keys that open it: AES-CCM with the bind key of a device.

use std::collections::HashMap;
use std::str::FromStr;

use aes::Aes128;
use ccm::aead::inout::InOutBuf;
use ccm::aead::{AeadInOut as _, KeyInit as _};
use ccm::consts::{U4, U8, U11, U12, U13};
use ccm::{Ccm, NonceSize, TagSize};
use zeroize::Zeroizing;

use super::BleProblem;

/// A Bluetooth device address, most significant byte first: as it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Address(pub [u8; 6]);

impl Address {
    /// As it is on the air: least significant byte first.
    pub(super) fn reversed(self) -> [u8; 6] {
        let mut bytes = self.0;
        bytes.reverse();
        bytes
    }
}

/// `A4:C1:38:8D:18:B2`, in either case, with colons, hyphens or nothing between.
impl FromStr for Address {
    type Err = NotAnAddress;

    fn from_str(text: &str) -> Result<Self, NotAnAddress> {
        let mut bytes = [0_u8; 6];
        let mut digits = 0_usize;
        for character in text.chars().filter(|character| !matches!(character, ':' | '-')) {
            let digit = character.to_digit(16).and_then(|digit| u8::try_from(digit).ok());
            let byte = bytes.get_mut(digits / 2).ok_or(NotAnAddress)?;
            *byte = *byte << 4 | digit.ok_or(NotAnAddress)?;
            digits += 1;
        }
        if digits == 12 { Ok(Self(bytes)) } else { Err(NotAnAddress) }
    }
}

/// Not an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a Bluetooth address has six bytes: A4:C1:38:8D:18:B2")]
pub struct NotAnAddress;

/// The key of a device that encrypts. Wiped from memory when it goes, and never shown.
#[derive(Clone)]
pub struct BindKey(Zeroizing<[u8; 16]>, Length);

#[derive(Clone, Copy, PartialEq, Eq)]
enum Length {
    /// 24 digits: MiBeacon's first encryption.
    Twelve,
    /// 32 digits: everything since.
    Sixteen,
}

impl std::fmt::Debug for BindKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("BindKey")
    }
}

/// Not a bind key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a bind key has 32 hexadecimal digits (24 for the oldest Xiaomi devices)")]
pub struct NotABindKey;

impl FromStr for BindKey {
    type Err = NotABindKey;

    /// From 32 or 24 hexadecimal digits; white space around them is ignored.
    fn from_str(text: &str) -> Result<Self, NotABindKey> {
        let text = text.trim();
        let length = match text.len() {
            24 => Length::Twelve,
            32 => Length::Sixteen,
            _ => return Err(NotABindKey),
        };
        let mut key = Zeroizing::new([0_u8; 16]);
        let bytes = key.get_mut(..text.len() / 2).ok_or(NotABindKey)?;
        hex::decode_to_slice(text, bytes).map_err(|_| NotABindKey)?;
        Ok(Self(key, length))
    }
}

impl BindKey {
    /// The 16 bytes.
    pub(super) fn sixteen(&self) -> Result<&[u8; 16], BleProblem> {
        if self.1 == Length::Sixteen { Ok(&self.0) } else { Err(BleProblem::KeyLength { expected: 32 }) }
    }

    /// The 12 bytes of MiBeacon's first encryption.
    pub(super) fn twelve(&self) -> Result<&[u8], BleProblem> {
        let key = self.0.get(..12).filter(|_| self.1 == Length::Twelve);
        key.ok_or(BleProblem::KeyLength { expected: 24 })
    }
}

/// The keys of all devices that have one.
#[derive(Debug, Clone, Default)]
pub struct Keys(HashMap<Address, BindKey>);

impl Keys {
    /// None.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Gives a device its key.
    pub fn insert(&mut self, address: Address, key: BindKey) {
        self.0.insert(address, key);
    }

    pub(super) fn of(&self, address: Address) -> Option<&BindKey> {
        if self.0.is_empty() { None } else { self.0.get(&address) }
    }
}

/// Longest text that is decrypted: longer than any advertisement of the formats that encrypt.
pub(super) const MAX_TEXT: usize = 254;

/// Decrypted bytes, on the stack.
pub(super) struct Plain {
    buffer: [u8; MAX_TEXT],
    length: usize,
}

impl Plain {
    pub(super) fn new(buffer: [u8; MAX_TEXT], length: usize) -> Self {
        Self { buffer, length }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        self.buffer.get(..self.length).unwrap_or_default()
    }
}

/// What an AES-CCM of one of the formats is made of.
pub(super) struct Sealed<'a> {
    pub(super) text: &'a [u8],
    pub(super) tag: &'a [u8],
    pub(super) nonce: &'a [u8],
    pub(super) associated: &'a [u8],
}

impl Sealed<'_> {
    /// Opens it. Formats with a tag of one byte cannot be checked and only decrypt.
    pub(super) fn open(&self, key: &[u8; 16]) -> Result<Plain, BleProblem> {
        let mut plain = Plain { buffer: [0; MAX_TEXT], length: self.text.len() };
        let text =
            plain.buffer.get_mut(..self.text.len()).ok_or(BleProblem::Layout("its text is too long"))?;
        text.copy_from_slice(self.text);
        let text = InOutBuf::from(text);
        let opened = match (self.tag.len(), self.nonce.len()) {
            (4, 11) => self.open_with::<U4, U11>(key, text),
            (4, 12) => self.open_with::<U4, U12>(key, text),
            (4, 13) => self.open_with::<U4, U13>(key, text),
            (8, 13) => self.open_with::<U8, U13>(key, text),
            _ => None,
        };
        opened.map(|()| plain).ok_or(BleProblem::WrongKey)
    }

    fn open_with<M, N>(&self, key: &[u8; 16], text: InOutBuf<'_, '_, u8>) -> Option<()>
    where
        M: ccm::aead::array::ArraySize + TagSize,
        N: ccm::aead::array::ArraySize + NonceSize,
    {
        let cipher = Ccm::<Aes128, M, N>::new(key.into());
        let nonce = self.nonce.try_into().ok()?;
        let tag = self.tag.try_into().ok()?;
        cipher.decrypt_inout_detached(nonce, self.associated, text, tag).ok()
    }
}
