//! Cuts a stream of bytes into lines. LF or CRLF ends a line; the pieces in which the bytes come do not matter.
//!
//! Holds at most `max_line + 1` bytes. A longer line is reported once, as soon as it is too long, and skipped to its end.

/// A line of the stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut<'a> {
    /// A whole line, without its end; it may be empty.
    Line(&'a [u8]),
    /// A line that is longer than `max_line`.
    TooLong,
}

/// The part of a stream that is not a whole line yet.
#[derive(Debug)]
pub struct Splitter {
    max_line: usize,
    begun: Vec<u8>,
    /// `begun` was returned as a line and is cleared at the next call.
    returned: bool,
    /// The rest of a line that was too long is being skipped.
    skipping: bool,
}

impl Splitter {
    #[must_use]
    pub const fn new(max_line: usize) -> Self {
        Self { max_line, begun: Vec::new(), returned: false, skipping: false }
    }

    /// Cuts the next line off `bytes`. `None` when all of them are used; the beginning of a line is kept for later.
    pub fn next<'s, 'b: 's>(&'s mut self, bytes: &mut &'b [u8]) -> Option<Cut<'s>> {
        self.clear_returned();
        if self.skipping {
            let Some((_, rest)) = cut_at_line_feed(bytes) else {
                *bytes = &[];
                return None;
            };
            *bytes = rest;
            self.skipping = false;
        }
        let Some((line, rest)) = cut_at_line_feed(bytes) else {
            return self.keep(std::mem::take(bytes)).then_some(Cut::TooLong);
        };
        *bytes = rest;
        if self.begun.is_empty() {
            return Some(self.cut(line));
        }
        if !self.fits(line) {
            self.begun.clear();
            return Some(Cut::TooLong);
        }
        self.begun.extend_from_slice(line);
        self.returned = true;
        Some(self.cut(&self.begun))
    }

    /// The stream has ended. Returns true when it broke off inside a line that was not reported as too long.
    pub fn end(&mut self) -> bool {
        self.clear_returned();
        let unfinished = !self.begun.is_empty();
        self.begun.clear();
        self.skipping = false;
        unfinished
    }

    /// Keeps the beginning of a line. Returns true when it has just become too long.
    fn keep(&mut self, piece: &[u8]) -> bool {
        if self.fits(piece) {
            self.begun.extend_from_slice(piece);
            return false;
        }
        self.begun.clear();
        self.skipping = true;
        true
    }

    /// One byte more than `max_line`: it may be the CR of the line's end.
    fn fits(&self, piece: &[u8]) -> bool {
        self.begun.len().saturating_add(piece.len()) <= self.max_line.saturating_add(1)
    }

    fn cut<'a>(&self, line: &'a [u8]) -> Cut<'a> {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.len() > self.max_line { Cut::TooLong } else { Cut::Line(line) }
    }

    fn clear_returned(&mut self) {
        if std::mem::take(&mut self.returned) {
            self.begun.clear();
        }
    }
}

/// The parts before and after the first line feed.
fn cut_at_line_feed(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = bytes.iter().position(|byte| *byte == b'\n')?;
    let (line, rest) = bytes.split_at_checked(at)?;
    Some((line, rest.split_first()?.1))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The lines of `pieces`; `None` for one that is too long.
    fn lines(splitter: &mut Splitter, pieces: &[&[u8]]) -> Vec<Option<Vec<u8>>> {
        let mut all = Vec::new();
        for piece in pieces {
            let mut rest = *piece;
            loop {
                match splitter.next(&mut rest) {
                    Some(Cut::Line(line)) => all.push(Some(line.to_vec())),
                    Some(Cut::TooLong) => all.push(None),
                    None => break,
                }
            }
        }
        all
    }

    fn line(text: &str) -> Option<Vec<u8>> {
        Some(text.as_bytes().to_vec())
    }

    #[test]
    fn lf_and_crlf_end_a_line_and_a_cr_within_one_stays() {
        let cut = lines(&mut Splitter::new(9), &[b"a\nb\r\n\nc\rd\r\r\n"]);
        assert_eq!(cut, [line("a"), line("b"), line(""), line("c\rd\r")]);
    }

    #[test]
    fn half_lines_are_joined_also_between_cr_and_lf() {
        let mut splitter = Splitter::new(9);
        assert_eq!(lines(&mut splitter, &[b"21", b".5", b"\r"]), []);
        assert_eq!(lines(&mut splitter, &[b"\n7", b"\n"]), [line("21.5"), line("7")]);
        assert!(!splitter.end());
    }

    #[test]
    fn a_line_that_is_too_long_is_reported_once_and_skipped_to_its_end() {
        let mut splitter = Splitter::new(4);
        assert_eq!(lines(&mut splitter, &[b"1234\r\n", b"1234\n"]), [line("1234"), line("1234")]);
        assert_eq!(lines(&mut splitter, &[b"12345\n6\n"]), [None, line("6")]);
        assert_eq!(lines(&mut splitter, &[b"12", b"345", b"6789", b"0123456789"]), [None]);
        assert_eq!(lines(&mut splitter, &[b"more\n7\n"]), [line("7")]);
        assert_eq!(lines(&mut splitter, &[b"123", b"45\n6\n"]), [None, line("6")]);
    }

    #[test]
    fn an_end_within_a_line_is_reported_and_the_next_stream_starts_anew() {
        let mut splitter = Splitter::new(4);
        assert_eq!(lines(&mut splitter, &[b"1\n2"]), [line("1")]);
        assert!(splitter.end());
        assert_eq!(lines(&mut splitter, &[b"3\n1234567"]), [line("3"), None]);
        assert!(!splitter.end(), "it was reported as too long already");
        assert_eq!(lines(&mut splitter, &[b"4\n"]), [line("4")]);
    }

    proptest! {
        #[test]
        fn the_lines_do_not_depend_on_the_pieces_and_memory_is_bounded(
            bytes in proptest::collection::vec(prop_oneof![Just(b'\n'), Just(b'\r'), any::<u8>()], 0..200),
            cuts in proptest::collection::vec(1_usize..20, 1..40),
        ) {
            let max = 8;
            let (whole, _) = bytes.split_at(bytes.iter().rposition(|b| *b == b'\n').map_or(0, |at| at + 1));
            let expected: Vec<_> = whole
                .split_inclusive(|byte| *byte == b'\n')
                .map(|line| line.strip_suffix(b"\n").unwrap())
                .map(|line| line.strip_suffix(b"\r").unwrap_or(line))
                .map(|line| (line.len() <= max).then(|| line.to_vec()))
                .collect();
            let mut splitter = Splitter::new(max);
            let (mut got, mut rest) = (Vec::new(), whole);
            for size in cuts.iter().cycle() {
                if rest.is_empty() {
                    break;
                }
                let (piece, after) = rest.split_at((*size).min(rest.len()));
                got.extend(lines(&mut splitter, &[piece]));
                prop_assert!(splitter.begun.len() <= max + 1);
                rest = after;
            }
            prop_assert_eq!(got, expected);
        }
    }
}
