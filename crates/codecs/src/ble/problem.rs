//! The reasons to refuse an advertisement. No error shows a key or the advertisement itself.

use gateway_core::DropReason;

use super::advertisement::AdvertisementProblem;

/// A problem of an advertisement, or of the configuration of its sender.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BleProblem {
    /// Not an advertisement.
    #[error(transparent)]
    Advertisement(#[from] AdvertisementProblem),
    /// Nothing in it is of a format that is known.
    #[error("nothing in the advertisement is of a format that is known; docs/ble.md lists them")]
    Unknown,
    /// The format's data ends too early.
    #[error("its data ends within a value")]
    TooShort,
    /// The data is not laid out as the format has it.
    #[error("{0}")]
    Layout(&'static str),
    /// A value that no sensor measures: damaged on the way.
    #[error("the sensor cannot measure such a value of {0}: the advertisement is damaged")]
    Implausible(&'static str),
    /// Encrypted, and there is no key.
    #[error(
        "it is encrypted and there is no key; put the key's hexadecimal digits into a file, and name that file as `bindkey_file` in the device's [devices.*] table"
    )]
    NoKey,
    /// Encrypted with another key.
    #[error(
        "the bind key does not open it; read the device's key again (it changes each time that the device is paired) and put it into the file that `bindkey_file` names"
    )]
    WrongKey,
    /// The key has a length that this encryption does not take.
    #[error(
        "this encryption takes a key of {expected} hexadecimal digits; look at the file that `bindkey_file` names"
    )]
    KeyLength {
        /// In hexadecimal digits.
        expected: usize,
    },
    /// Unencrypted, from a device whose key is known: any transmitter may have sent it.
    #[error(
        "it is not encrypted though the device has a `bindkey_file`, so anybody may have sent it; remove `bindkey_file` if the device does not encrypt any more"
    )]
    NotEncrypted,
    /// The encryption needs the sender's address, which the adapter does not report.
    #[error("it cannot be decrypted without its sender's address, which the adapter does not report")]
    NoAddress,
    /// The counter went back: the advertisement is a replay.
    #[error(
        "its counter went back from {last} to {now}: an old advertisement sent again; after a change of the battery it is accepted again within a minute"
    )]
    Replay {
        /// The highest counter received.
        last: u64,
        /// The counter of this advertisement.
        now: u64,
    },
    /// The data is there, but only the maker's app can read it.
    #[error("{0}")]
    Closed(&'static str),
}

impl BleProblem {
    pub(crate) fn reason(self) -> DropReason {
        match self {
            Self::Advertisement(AdvertisementProblem::TooLong) => DropReason::TooLarge,
            Self::Replay { .. } => DropReason::Replay,
            Self::WrongKey => DropReason::BadMic,
            _ => DropReason::BadPayload,
        }
    }
}
