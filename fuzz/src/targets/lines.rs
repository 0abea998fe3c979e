//! Lines of serial ports and TCP: however the bytes are cut into pieces, the lines are those of the whole, and a line is
//! never longer than it may be. The first byte is the size of the pieces.

use adapters::lines::{Cut, Splitter};

const MAX_LINE: usize = 16;

pub(crate) fn run(data: &[u8]) {
    let Some((size, bytes)) = data.split_first() else { return };
    let whole = lines(bytes, bytes.len().max(1));
    assert_eq!(lines(bytes, usize::from(*size).max(1)), whole);
    let ends = bytes.iter().filter(|byte| **byte == b'\n').count();
    assert!(whole.len() <= ends + 1, "one more where the last line is too long and has no end");
}

/// The lines of `bytes` in pieces of `size`; `None` for one that is too long.
fn lines(bytes: &[u8], size: usize) -> Vec<Option<Vec<u8>>> {
    let mut splitter = Splitter::new(MAX_LINE);
    let mut lines = Vec::new();
    for mut piece in bytes.chunks(size) {
        while let Some(cut) = splitter.next(&mut piece) {
            lines.push(match cut {
                Cut::Line(line) => {
                    assert!(line.len() <= MAX_LINE && !line.contains(&b'\n'));
                    Some(line.to_vec())
                }
                Cut::TooLong => None,
            });
        }
    }
    lines
}
