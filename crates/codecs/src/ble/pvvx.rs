//! `pvvx`: the custom format of pvvx's firmware for Xiaomi's and Tuya's thermometers, and the older one of atc1441; plain
//! and encrypted. All are service data of 0x181A, distinguished by their length.
//!
//! Source: github.com/pvvx/ATC_MiThermometer, README "Bluetooth Advertising Formats"; atc1441's is big endian.
//!
//! | bytes | format |
//! |---|---|
//! | 13 | atc1441: address, temperature ×10, humidity, battery, mV, counter |
//! | 15 | pvvx: address reversed, temperature ×100, humidity ×100, mV, battery, counter, flags |
//! | 8 | atc1441 encrypted: counter, text (temperature and humidity ×2, battery), tag |
//! | 11 | pvvx encrypted: counter, text (temperature and humidity ×100, battery, flags), tag |
//!
//! Encrypted: AES-CCM, nonce address reversed, length byte, type, UUID, counter; associated byte 0x11. The counter has one
//! byte and goes round in minutes: it detects repetitions, not replays.

use super::advertisement::Uuid;
use super::keys::{Plain, Sealed};
use super::readings::Readings;
use super::{BleProblem, Bytes, Novelty, Packet};

pub(super) const SERVICE: Uuid = Uuid::short(0x181a);

pub(super) fn decode(packet: &Packet<'_>, out: &mut Readings<'_>) -> Result<(), BleProblem> {
    let data = packet.advertisement.service(SERVICE).ok_or(BleProblem::Unknown)?;
    match data.len() {
        13 => atc1441(packet, data, out),
        15 => custom(packet, data, out),
        8 | 11 => sealed(packet, data, out),
        _ => Err(BleProblem::Layout("its length is not 8, 11, 13 or 15 bytes")),
    }
}

fn atc1441(packet: &Packet<'_>, data: Bytes<'_>, out: &mut Readings<'_>) -> Result<(), BleProblem> {
    packet.refuse_plain()?;
    if packet.number(data.u8(12)?) == Novelty::Repeated {
        return Ok(());
    }
    out.note("layout", "atc1441");
    out.measure("temperature", f64::from(data.i16_be(6)?) / 10.0);
    out.measure("humidity", data.number(8)?);
    out.measure("battery", data.number(9)?);
    out.measure("voltage", f64::from(data.u16_be(10)?) / 1000.0);
    Ok(())
}

fn custom(packet: &Packet<'_>, data: Bytes<'_>, out: &mut Readings<'_>) -> Result<(), BleProblem> {
    packet.refuse_plain()?;
    if packet.number(data.u8(13)?) == Novelty::Repeated {
        return Ok(());
    }
    out.note("layout", "pvvx");
    out.measure("temperature", f64::from(data.i16(6)?) / 100.0);
    out.measure("humidity", f64::from(data.u16(8)?) / 100.0);
    out.measure("voltage", f64::from(data.u16(10)?) / 1000.0);
    out.measure("battery", data.number(12)?);
    flags(data.u8(14)?, out);
    Ok(())
}

fn sealed(packet: &Packet<'_>, data: Bytes<'_>, out: &mut Readings<'_>) -> Result<(), BleProblem> {
    let plain = open(packet, data)?;
    if packet.number(data.u8(0)?) == Novelty::Repeated {
        return Ok(());
    }
    let text = Bytes(plain.bytes());
    if text.len() == 3 {
        out.note("layout", "atc1441");
        out.measure("temperature", half_degrees(text.u8(0)?));
        out.measure("humidity", text.number(1)? / 2.0);
        let battery = text.u8(2)?;
        out.measure("battery", f64::from(battery & 0x7f));
        return Ok(());
    }
    out.note("layout", "pvvx");
    out.measure("temperature", f64::from(text.i16(0)?) / 100.0);
    out.measure("humidity", f64::from(text.u16(2)?) / 100.0);
    out.measure("battery", text.number(4)?);
    flags(text.u8(5)?, out);
    Ok(())
}

/// Halves of a degree above -40 °C.
fn half_degrees(byte: u8) -> f64 {
    f64::from(byte) / 2.0 - 40.0
}

fn open(packet: &Packet<'_>, data: Bytes<'_>) -> Result<Plain, BleProblem> {
    const SERVICE_DATA: u8 = 0x16;
    let key = packet.key()?.sixteen()?;
    let [a, b, c, d, e, f] = packet.address()?.reversed();
    let length = u8::try_from(data.len() + 3).map_err(|_| BleProblem::Layout("it is too long"))?;
    let nonce = [a, b, c, d, e, f, length, SERVICE_DATA, 0x1a, 0x18, data.u8(0)?];
    let text = data.len().checked_sub(5).ok_or(BleProblem::TooShort)?;
    let sealed = Sealed {
        text: data.part(1, text)?.0,
        tag: data.part(1 + text, 4)?.0,
        nonce: &nonce,
        associated: &[0x11],
    };
    sealed.open(key)
}

/// Bit 0 a reed contact, bit 1 a switched output, where the user has soldered them on: not measurements of most devices.
fn flags(flags: u8, out: &mut Readings<'_>) {
    out.note("flags", flags);
}
