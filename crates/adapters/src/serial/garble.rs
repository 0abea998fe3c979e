//! Tells a wrong baud rate from a line that is wrong now and then.

use std::time::Duration;

use tokio::time::Instant;

/// How long nothing but garbage must have come. A board that restarts sends some at another baud rate, then lines.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);

/// So many bytes that no text has make garbage: a single one is a disturbance on the cable.
const ENOUGH: usize = 16;

/// The garbage that came since the last line that could be read.
#[derive(Debug, Default)]
pub(super) struct Garble {
    since: Option<Instant>,
    bytes: usize,
}

impl Garble {
    /// `bytes` have come; `readable`: with a line in them that could be read.
    pub(super) fn note(&mut self, bytes: &[u8], readable: bool, now: Instant) {
        if readable {
            *self = Self::default();
            return;
        }
        let odd = bytes.iter().filter(|byte| is_odd(**byte)).count();
        if odd > 0 {
            self.since.get_or_insert(now);
            self.bytes = self.bytes.saturating_add(odd);
        }
    }

    /// Whether the baud rate is likely to be wrong.
    pub(super) fn is_likely(&self, now: Instant) -> bool {
        self.bytes >= ENOUGH && self.since.is_some_and(|since| now.duration_since(since) >= PATIENCE)
    }
}

/// Whether lines of plain text do not have it.
const fn is_odd(byte: u8) -> bool {
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
