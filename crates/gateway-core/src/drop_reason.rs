//! The reasons for dropping a reading: the rows of the loss ledger.

use serde::{Deserialize, Serialize};

/// The reasons under which readings are counted as dropped. A message that cannot be decoded counts as one reading.
/// Stored by their order: new ones come last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum DropReason {
    /// The payload does not fit its format.
    BadPayload,
    /// The payload is larger than is taken.
    TooLarge,
    /// NaN or infinite.
    NotFinite,
    /// The device's name is empty, too long, or not text.
    BadDevice,
    /// `unknown_devices = "ignore"` and no `[devices.*]` names it.
    UnknownDevice,
    /// The registry holds as many devices as it may.
    TooManyDevices,
    /// The device, or the gateway, has as many metrics as it may.
    TooManyMetrics,
    /// The payload holds more readings than one message may.
    TooManyReadings,
    /// For a window that ended longer ago than `correct_for`.
    Late,
    /// Further ahead of the clock than `max_future`.
    Future,
    /// The device has as many windows open as it may.
    TooManyWindows,
    /// The broker sent again what had been taken already.
    Duplicate,
    /// There is no `[upstream]` to send aggregates to.
    NoUpstream,
    /// The outbox was full.
    OutboxFull,
    /// The cloud broker refused the aggregate for good.
    UpstreamRefused,
    /// Damage to the disk took it.
    Damaged,
    /// A sender that expects no answer was faster than the gateway for longer than a message may wait.
    NoRoom,
    /// The message's integrity code is wrong: a wrong key, or a forged message in a known device's name.
    BadMic,
    /// The message's counter was in use before.
    Replay,
    /// The message's counter is too far ahead of the last one.
    CounterGap,
    /// A device asks to join with a number that was in use before.
    DevNonce,
    /// The device has no codec that reads its payload.
    NoCodec,
    /// The device's codec in JavaScript did not come back from this message or an earlier one.
    CodecStuck,
}

impl DropReason {
    /// All of them, in the order of the ledger.
    pub const ALL: [Self; 23] = [
        Self::BadPayload,
        Self::TooLarge,
        Self::NotFinite,
        Self::BadDevice,
        Self::UnknownDevice,
        Self::TooManyDevices,
        Self::TooManyMetrics,
        Self::TooManyReadings,
        Self::Late,
        Self::Future,
        Self::TooManyWindows,
        Self::Duplicate,
        Self::NoUpstream,
        Self::OutboxFull,
        Self::UpstreamRefused,
        Self::Damaged,
        Self::NoRoom,
        Self::BadMic,
        Self::Replay,
        Self::CounterGap,
        Self::DevNonce,
        Self::NoCodec,
        Self::CodecStuck,
    ];

    /// The name in `audit`, `health` and the logs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::BadPayload => "bad_payload",
            Self::TooLarge => "too_large",
            Self::NotFinite => "not_finite",
            Self::BadDevice => "bad_device",
            Self::UnknownDevice => "unknown_device",
            Self::TooManyDevices => "too_many_devices",
            Self::TooManyMetrics => "too_many_metrics",
            Self::TooManyReadings => "too_many_readings",
            Self::Late => "late",
            Self::Future => "future",
            Self::TooManyWindows => "too_many_windows",
            Self::Duplicate => "duplicate",
            Self::NoUpstream => "no_upstream",
            Self::OutboxFull => "outbox_full",
            Self::UpstreamRefused => "upstream_refused",
            Self::Damaged => "damaged",
            Self::NoRoom => "no_room",
            Self::BadMic => "bad_mic",
            Self::Replay => "replay",
            Self::CounterGap => "counter_gap",
            Self::DevNonce => "dev_nonce",
            Self::NoCodec => "no_codec",
            Self::CodecStuck => "codec_stuck",
        }
    }
}
