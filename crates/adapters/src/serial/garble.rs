//! Detects a wrong baud rate, and distinguishes it from single damaged lines.

use std::time::Duration;

use tokio::time::Instant;

/// How long only garbage must arrive. A restarting board sends some at another baud rate, then lines.
pub(super) const DETECTION_TIME: Duration = Duration::from_secs(5);

/// This many non-text bytes count as garbage; a single one is a disturbance on the cable.
const ENOUGH: usize = 16;

/// The garbage since the last readable line.
#[derive(Debug, Default)]
pub(super) struct Garble {
    since: Option<Instant>,
    bytes: usize,
}

impl Garble {
    /// Takes received `bytes`; `readable`: they completed a readable line.
    pub(super) fn note(&mut self, bytes: &[u8], readable: bool, now: Instant) {
        if readable {
            *self = Self::default();
            return;
        }
        let odd = bytes.iter().filter(|byte| is_not_text(**byte)).count();
        if odd > 0 {
            self.since.get_or_insert(now);
            self.bytes = self.bytes.saturating_add(odd);
        }
    }

    /// Whether the baud rate is likely to be wrong.
    pub(super) fn is_likely(&self, now: Instant) -> bool {
        self.bytes >= ENOUGH && self.since.is_some_and(|since| now.duration_since(since) >= DETECTION_TIME)
    }
}

/// Whether the byte does not occur in plain text.
const fn is_not_text(byte: u8) -> bool {
    !matches!(byte, b'\t' | b'\n' | b'\r' | b' '..=b'~')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn garbage_alone_for_a_while_is_likely_a_wrong_baud_rate() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut garble = Garble::default();
        garble.note(&[0xF8; 15], false, at(0));
        assert!(!garble.is_likely(at(60)), "a disturbance");
        garble.note(&[0x00], false, at(1));
        assert!(!garble.is_likely(at(4)));
        assert!(garble.is_likely(at(5)));
        garble.note(b"\xf8\xf821.5\n", true, at(6));
        assert!(!garble.is_likely(at(60)), "a line that could be read ends it");
        garble.note(b"booting, please wait ...\r\n", false, at(7));
        assert!(!garble.is_likely(at(60)), "text that is no reading is something else");
    }
}
