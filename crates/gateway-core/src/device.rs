//! Device addresses, and the small numbers that the registry assigns to names.

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Serialize};

/// A device as it names itself on its link: a topic's name, a MAC, a DevEUI, a path.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DeviceAddress(Box<str>);

impl DeviceAddress {
    /// Longest address in bytes that is taken; topics and DevEUIs are far shorter, hostile names are not.
    pub const MAX_BYTES: usize = 256;

    /// `None` where the text is empty or longer than [`Self::MAX_BYTES`].
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        (!text.is_empty() && text.len() <= Self::MAX_BYTES).then(|| Self(text.into()))
    }

    /// An address in the one form under which it is known: a DevEUI in 16 lower-case hex digits, a MAC in upper case
    /// with colons, anything else as it stands.
    #[must_use]
    pub fn canonical(address: &str) -> Cow<'_, str> {
        let bytes = address.as_bytes();
        let is_mac = bytes.len() == 17
            && bytes
                .iter()
                .enumerate()
                .all(|(i, b)| if i % 3 == 2 { *b == b':' } else { b.is_ascii_hexdigit() });
        if Self::is_dev_eui(address) && bytes.iter().any(u8::is_ascii_uppercase) {
            Cow::Owned(address.to_ascii_lowercase())
        } else if is_mac && bytes.iter().any(u8::is_ascii_lowercase) {
            Cow::Owned(address.to_ascii_uppercase())
        } else {
            Cow::Borrowed(address)
        }
    }

    /// Whether a text is a DevEUI: 16 hexadecimal digits and nothing else.
    #[must_use]
    pub fn is_dev_eui(text: &str) -> bool {
        text.len() == 16 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for DeviceAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A device in the registry: an index counted from 0, valid as long as the store it was made in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DeviceId(pub u32);

/// A metric's name in the registry: an index counted from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MetricId(pub u32);

/// A zone's name in the registry: an index counted from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ZoneId(pub u32);
