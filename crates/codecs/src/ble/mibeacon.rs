//! `mibeacon`: Xiaomi's MiBeacon, versions 2 to 5, plain and encrypted; Qingping, Yeelight, Linptech and others send it too.
//!
//! Source: Xiaomi IoT Developer Platform, "Mi Bluetooth Beacon protocol" (service data of 0xFE95).
//!
//! Frame control (2 bytes: bit 3 encrypted, 4 address, 5 capabilities, 6 objects, 7 mesh, 12 to 15 version), product id
//! (2), packet number (1), address (6, least significant byte first), capability (1, and one more of input and output
//! where bit 5 of it is set), then objects: id (2), length (1), data.
//!
//! Encrypted from version 4 on: objects, 3 bytes of counter, 4 bytes of tag; AES-CCM with the nonce address (reversed),
//! product, packet number, counter, over the associated byte 0x11. Before that ([`legacy`]): a key of 12 bytes, and a
//! checksum that nobody has described, so that a wrong key shows by what comes out only, and nothing distinguishes a recording from
//! the device. From version 4 on, counter and packet number make one number of 32 bits that may only grow.

mod buttons;
mod legacy;
mod locks;
mod models;
mod objects;

use super::advertisement::Uuid;
use super::keys::{Address, Plain, Sealed};
use super::readings::Readings;
use super::{BleProblem, Bytes, Novelty, Packet};

pub(super) const SERVICE: Uuid = Uuid::short(0xfe95);

const ENCRYPTED: u16 = 1 << 3;
const HAS_ADDRESS: u16 = 1 << 4;
const HAS_CAPABILITY: u16 = 1 << 5;
const HAS_OBJECTS: u16 = 1 << 6;
const MESH: u16 = 1 << 7;
/// In a capability: two bytes of what the device can show and enter follow.
const HAS_IO: u8 = 1 << 5;
const ASSOCIATED: [u8; 1] = [0x11];

/// What stands before the objects.
struct Frame<'a> {
    version: u16,
    product: u16,
    /// Frame control, product and packet number, as they are: part of nonces.
    head: [u8; 5],
    address: Option<Address>,
    encrypted: bool,
    /// Behind the head.
    rest: Bytes<'a>,
}

impl<'a> Frame<'a> {
    /// `None` where it has no objects: such a frame only says that the device is there.
    fn parse(packet: &Packet<'_>, data: Bytes<'a>) -> Result<Option<Self>, BleProblem> {
        let control = data.u16(0)?;
        let version = control >> 12;
        if control & MESH != 0 {
            return Err(BleProblem::Layout("it is of a mesh, which has its own encryption"));
        }
        if version < 2 {
            return Err(BleProblem::Layout("its version is older than 2"));
        }
        let mut at = 5;
        let mut address = packet.address;
        if control & HAS_ADDRESS != 0 {
            let mut said = data.array(at)?;
            said.reverse();
            at += 6;
            let said = Address(said);
            if address.is_some_and(|sender| sender != said) {
                return Err(BleProblem::Layout(
                    "the address in it is not its sender's: a gateway repeats it, or it is forged",
                ));
            }
            address = Some(said);
        }
        if control & HAS_CAPABILITY != 0 {
            at += if data.u8(at)? & HAS_IO == 0 { 1 } else { 2 };
        }
        let frame = Self {
            version,
            product: data.u16(2)?,
            head: data.array(0)?,
            address,
            encrypted: control & ENCRYPTED != 0,
            rest: data.from(at)?,
        };
        Ok((control & HAS_OBJECTS != 0).then_some(frame))
    }

    /// Decrypts; `None` if the packet was received before.
    fn open(&self, packet: &Packet<'_>) -> Result<Option<Plain>, BleProblem> {
        let address = self.address.ok_or(BleProblem::NoAddress)?;
        let key = packet.ble.keys.of(address).ok_or(BleProblem::NoKey)?;
        let number = self.head[4];
        let (plain, novelty) = if self.version < 4 {
            (legacy::open(self.rest, &self.head, address, key)?, packet.number(number))
        } else {
            let (plain, counter) = self.open_sealed(address, key.sixteen()?)?;
            // The packet number turns over first.
            (plain, packet.counter(address, u64::from(counter) << 8 | u64::from(number))?)
        };
        Ok((novelty == Novelty::New).then_some(plain))
    }

    fn open_sealed(&self, address: Address, key: &[u8; 16]) -> Result<(Plain, u32), BleProblem> {
        let text = self.rest.len().checked_sub(7).ok_or(BleProblem::TooShort)?;
        let counter: [u8; 3] = self.rest.array(text)?;
        let [a, b, c, d, e, f] = address.reversed();
        let [.., product_low, product_high, number] = self.head;
        let [x, y, z] = counter;
        let nonce = [a, b, c, d, e, f, product_low, product_high, number, x, y, z];
        let sealed = Sealed {
            text: self.rest.part(0, text)?.0,
            tag: self.rest.part(text + 3, 4)?.0,
            nonce: &nonce,
            associated: &ASSOCIATED,
        };
        Ok((sealed.open(key)?, self.rest.u24(text)?))
    }
}

pub(super) fn decode(packet: &Packet<'_>, out: &mut Readings<'_>) -> Result<(), BleProblem> {
    let data = packet.advertisement.service(SERVICE).ok_or(BleProblem::Unknown)?;
    let Some(frame) = Frame::parse(packet, data)? else { return Ok(()) };
    let model = models::of(frame.product);
    if out.noting() {
        out.note("version", frame.version);
        out.note("product", frame.product);
        out.note("model", model);
    }
    if frame.encrypted {
        let Some(plain) = frame.open(packet)? else { return Ok(()) };
        return read(model, Bytes(plain.bytes()), out);
    }
    packet.refuse_plain()?;
    if packet.number(frame.head[4]) == Novelty::Repeated {
        return Ok(());
    }
    read(model, frame.rest, out)
}

fn read(model: &str, data: Bytes<'_>, out: &mut Readings<'_>) -> Result<(), BleProblem> {
    let mut rest = data;
    while rest.len() >= 3 {
        let (id, length) = (rest.u16(0)?, usize::from(rest.u8(2)?));
        objects::read(id, rest.part(3, length)?, model, out)?;
        rest = rest.from(3 + length)?;
    }
    Ok(())
}
