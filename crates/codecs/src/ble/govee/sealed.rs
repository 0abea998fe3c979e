//! Govee's H5121 to H5126 and H5130: encrypted with a key that stands before the text, and secured by a CRC.
//!
//! 24 bytes: 2 of the device, 4 of time, which with zeros is the AES key, 16 of text, 2 of CRC-16. Both key and text are
//! turned round byte by byte. The text: 2 bytes, model, 1 byte, battery, what happened.

use aes::cipher::{BlockCipherDecrypt as _, KeyInit as _};
use aes::{Aes128, Block};

use super::super::readings::Readings;
use super::super::{BleProblem, Bytes};

const MODELS: [(u8, &str); 7] = [
    (0x02, "H5123"),
    (0x03, "H5121"),
    (0x08, "H5122"),
    (0x09, "H5124"),
    (0x0a, "H5125"),
    (0x0b, "H5126"),
    (0x0d, "H5130"),
];

pub(super) fn decode(data: Bytes<'_>, out: &mut Readings<'_>) -> Result<(), BleProblem> {
    let mut text: [u8; 16] = data.array(6)?;
    if crc(&text) != data.u16_be(22)? {
        return Err(BleProblem::Layout("its checksum does not fit: the advertisement is damaged"));
    }
    text.reverse();
    let mut key = [0; 16];
    for (to, from) in key.iter_mut().rev().zip(data.part(2, 4)?.0) {
        *to = *from;
    }
    let mut block = Block::from(text);
    Aes128::new(&key.into()).decrypt_block(&mut block);
    let mut text: [u8; 16] = block.into();
    text.reverse();
    let [_, _, model, _, battery, what, ..] = text;
    let Some((_, name)) = MODELS.iter().find(|(id, _)| *id == model) else {
        return Err(BleProblem::Layout("its model is not known"));
    };
    out.note("model", *name);
    out.measure("battery", f64::from(battery));
    match (*name, what) {
        ("H5123", _) => out.state("contact", what != 2),
        ("H5121", 1) => out.state("occupancy", true),
        ("H5124", 1) => out.state("vibration", true),
        ("H5130", 16) => out.event("", "single"),
        ("H5130", _) => out.state("presence", what == 1),
        ("H5121" | "H5124", _) => {}
        // Buttons count from 0.
        (_, 0) => out.event("", "single"),
        (_, button) => out.event(&(u16::from(button) + 1).to_string(), "single"),
    }
    Ok(())
}

/// CRC-16 of CCITT's polynomial, begun with 1D0F.
fn crc(data: &[u8]) -> u16 {
    let mut crc = 0x1d0f_u16;
    for byte in data {
        crc ^= u16::from(*byte) << 8;
        for _ in 0..8 {
            crc = if crc & 0x8000 == 0 { crc << 1 } else { crc << 1 ^ 0x1021 };
        }
    }
    crc
}
