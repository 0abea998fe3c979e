//! Values as codecs hand them on, and the texts that stand for 1 and 0: what Home Assistant, zigbee2mqtt and Tasmota say for on and off.

use crate::DecodeError;

/// (1, 0), compared without case.
const PAIRS: [(&str, &str); 16] = [
    ("on", "off"),
    ("true", "false"),
    ("open", "closed"),
    ("open", "close"),
    ("opened", "not_opened"),
    ("online", "offline"),
    ("yes", "no"),
    ("lock", "unlock"),
    ("locked", "unlocked"),
    ("lock1", "unlock"),
    ("enable", "disable"),
    ("enabled", "disabled"),
    ("armed", "disarmed"),
    ("muted", "unmuted"),
    ("show", "hide"),
    ("alarm active", "normal"),
];

const LONGEST: usize = 12;

/// A value as codecs hand it on: a number, or one of two states as 1 and 0.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Quantity {
    pub(crate) value: f64,
    /// The payload said one of two states.
    pub(crate) boolean: bool,
}

impl Quantity {
    pub(crate) fn scaled(self, factor: f64) -> Self {
        Self { value: self.value * factor, ..self }
    }

    pub(crate) fn finite(self) -> Result<Self, DecodeError> {
        if self.value.is_finite() { Ok(self) } else { Err(DecodeError::NotFinite) }
    }
}

impl From<f64> for Quantity {
    fn from(value: f64) -> Self {
        Self { value, boolean: false }
    }
}

/// 1 or 0 where `text` is one of two words for it.
pub(crate) fn two_valued(text: &str) -> Option<Quantity> {
    if text.len() > LONGEST {
        return None;
    }
    PAIRS.iter().find_map(|(one, zero)| {
        if text.eq_ignore_ascii_case(one) {
            Some(from_bool(true))
        } else {
            text.eq_ignore_ascii_case(zero).then_some(from_bool(false))
        }
    })
}

/// 1 or 0.
pub(crate) fn from_bool(value: bool) -> Quantity {
    Quantity { value: f64::from(u8::from(value)), boolean: true }
}

/// What a text alone stands for: a number as Rust and C read it, or one of the two-valued words. NaN and infinities come
/// out as they are: the caller refuses them.
pub(crate) fn number_or_word(text: &str) -> Option<Quantity> {
    text.parse::<f64>().ok().map(Quantity::from).or_else(|| two_valued(text))
}
