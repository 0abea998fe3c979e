//! The line that the broker writes for a frame: `7c:df:a1:00:00:01 01010865`, the sender's address and the frame in hexadecimal
//! digits, as the gateway's format `node` reads it.

#![no_std]

use heapless::Vec;

const ADDRESS: usize = 6;
/// ESP-NOW's longest frame (version 1).
const FRAME: usize = 250;
/// Two digits and a colon or the space for each byte of the address, two digits for each of the frame, and a line feed.
const LINE: usize = 3 * ADDRESS + 2 * FRAME + 1;

/// The line; `None` for an empty frame, or one longer than ESP-NOW's.
#[must_use]
pub fn line(sender: [u8; ADDRESS], frame: &[u8]) -> Option<Vec<u8, LINE>> {
    if frame.is_empty() {
        return None;
    }
    let mut line = Vec::new();
    for (number, byte) in sender.into_iter().enumerate() {
        line.extend_from_slice(&digits(byte)).ok()?;
        line.push(if number + 1 < ADDRESS { b':' } else { b' ' }).ok()?;
    }
    for byte in frame {
        line.extend_from_slice(&digits(*byte)).ok()?;
    }
    line.push(b'\n').ok()?;
    Some(line)
}

fn digits(byte: u8) -> [u8; 2] {
    [byte >> 4, byte & 0x0f].map(|digit| if digit < 10 { b'0' + digit } else { b'a' + digit - 10 })
}

#[cfg(test)]
mod tests {
    use super::{FRAME, line};

    #[test]
    fn a_line_is_the_address_and_the_frame() {
        let written = line([0x7c, 0xdf, 0xa1, 0x00, 0x0b, 0xff], &[0x01, 0x01, 0x08, 0x65]).unwrap();
        assert_eq!(written, b"7c:df:a1:00:0b:ff 01010865\n");
        assert_eq!(line([0; 6], &[0xab; FRAME]).unwrap().len(), 18 + 2 * FRAME + 1);
    }

    #[test]
    fn an_empty_or_too_long_frame_makes_no_line() {
        assert_eq!(line([0; 6], &[]), None);
        assert_eq!(line([0; 6], &[0; FRAME + 1]), None);
    }
}
