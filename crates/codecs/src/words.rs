//! The texts that stand for 1 and 0: what Home Assistant, zigbee2mqtt and Tasmota say for on and off.

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

/// 1 or 0 where `text` is one of two words for it.
pub(crate) fn two_valued(text: &str) -> Option<f64> {
    if text.len() > LONGEST {
        return None;
    }
    PAIRS.iter().find_map(|(one, zero)| {
        if text.eq_ignore_ascii_case(one) {
            Some(1.0)
        } else {
            text.eq_ignore_ascii_case(zero).then_some(0.0)
        }
    })
}

/// 1 or 0.
pub(crate) fn from_bool(value: bool) -> f64 {
    f64::from(u8::from(value))
}

/// What a text alone stands for: a number as Rust and C read it, or one of the two-valued words. NaN and infinities come
/// out as they are: the caller refuses them.
pub(crate) fn number_or_word(text: &str) -> Option<f64> {
    text.parse().ok().or_else(|| two_valued(text))
}
