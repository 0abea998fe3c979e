//! Why a message gave nothing, under which reason it is counted, and what to do about it.

use codecs::DecodeError;
use gateway_core::DropReason;

use codecs::script_thread::CALL_TIMEOUT;

/// Why a payload gave nothing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("the payload is larger than 256 KiB")]
    TooLarge,
    #[error("its codec is not in the table, which is a bug: please report it")]
    NotInTable,
    #[error(
        "device `{device}` has no codec that reads its payload: write `codec = \"…\"` into its table [devices.{device}], a built-in's name or the vendor's file in JavaScript"
    )]
    NoCodec { device: String },
    #[error(transparent)]
    Undecodable(DecodeError),
    #[error(
        "the codec {file} did not return within {} s and is not called until it returns; correct its long search or regular expression, then reload: a changed file is called at once",
        CALL_TIMEOUT.as_secs()
    )]
    Stuck { file: String },
    #[error(
        "no thread is left to run the codec {file}: other codecs have not returned, see the log for `codec_stuck`; correct their files and restart"
    )]
    NoThread { file: String },
    #[error("the codec {file} is slower than its devices send: more wait than it reads in {} s", CALL_TIMEOUT.as_secs())]
    TooSlow { file: String },
    #[error("the gateway stopped before the codec was called")]
    Stopping,
}

impl Refusal {
    pub(crate) fn reason(&self) -> DropReason {
        match self {
            Self::TooLarge => DropReason::TooLarge,
            Self::NotInTable => DropReason::BadPayload,
            Self::NoCodec { .. } => DropReason::NoCodec,
            Self::Undecodable(error) => error.reason(),
            Self::Stuck { .. } | Self::NoThread { .. } => DropReason::CodecStuck,
            Self::TooSlow { .. } | Self::Stopping => DropReason::NoRoom,
        }
    }
}

/// [`remedy`] as an error, for the log.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Remedy(pub(crate) &'static str);

/// What to do about a message that was refused for what it is, not for how it is written.
pub(crate) fn remedy(reason: DropReason) -> &'static str {
    match reason {
        DropReason::BadDevice => "neither topic nor payload names a device; use {device} in the filter",
        DropReason::UnknownDevice => "no [devices.*] names it and unknown_devices is \"ignore\"",
        DropReason::TooManyDevices => "gateway.max_devices is reached; raise it if these devices are real",
        DropReason::TooManyMetrics => "too many metric names; is a changing value used as a key?",
        DropReason::NotFinite => "NaN and infinities are no measurements",
        _ => "see the reason",
    }
}
