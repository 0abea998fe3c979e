//! `eddystone`: Google's Eddystone: UID and URL (presence), TLM (battery, temperature, counters); service data of 0xFEAA.
//!
//! Source: github.com/google/eddystone, protocol-specification.md and the specifications of the frames; big endian.
//! Encrypted TLM and the ephemeral EID need the keys of a resolving service and are refused.

use super::advertisement::{Advertisement, Uuid};
use super::readings::{Readings, rounded};
use super::{BleProblem, Bytes, Packet};

pub(super) const SERVICE: Uuid = Uuid::short(0xfeaa);

const UID: u8 = 0x00;
const URL: u8 = 0x10;
const TLM: u8 = 0x20;
const EID: u8 = 0x30;
const SCHEMES: [&str; 4] = ["http://www.", "https://www.", "http://", "https://"];
const ENDINGS: [&str; 14] = [
    ".com/", ".org/", ".edu/", ".net/", ".info/", ".biz/", ".gov/", ".com", ".org", ".edu", ".net", ".info",
    ".biz", ".gov",
];
/// "Not supported", in 8.8 fixed point.
const NO_TEMPERATURE: i16 = i16::MIN;

/// Namespace and instance of a UID frame, in 32 hexadecimal digits.
pub(super) fn identity(advertisement: &Advertisement<'_>) -> Option<String> {
    let data = advertisement.service(SERVICE)?;
    (data.u8(0).ok()? == UID).then_some(())?;
    Some(format!("{:032x}", u128::from_be_bytes(data.array(2).ok()?)))
}

pub(super) fn decode(packet: &Packet<'_>, out: &mut Readings<'_>) -> Result<(), BleProblem> {
    let data = packet.advertisement.service(SERVICE).ok_or(BleProblem::Unknown)?;
    match data.u8(0)? {
        UID => {
            data.at_least(18)?;
            presence(data, out)?;
            if out.noting() {
                out.note("identity", identity(&packet.advertisement));
            }
            Ok(())
        }
        URL => {
            presence(data, out)?;
            if out.noting() {
                out.note("url", url(data.from(2)?));
            }
            Ok(())
        }
        TLM if data.u8(1)? == 0 => telemetry(data, out),
        TLM => Err(BleProblem::Closed(
            "this telemetry is encrypted with a key that only the beacon's resolving service has",
        )),
        EID => Err(BleProblem::Closed(
            "this beacon changes its identity, and only its resolving service knows which it is",
        )),
        _ => Err(BleProblem::Layout("the frame is not UID, URL, TLM or EID")),
    }
}

fn presence(data: Bytes<'_>, out: &mut Readings<'_>) -> Result<(), BleProblem> {
    out.state("presence", true);
    out.measure_in("power_at_0m", f64::from(data.i8(1)?), "dBm");
    Ok(())
}

fn telemetry(data: Bytes<'_>, out: &mut Readings<'_>) -> Result<(), BleProblem> {
    let (millivolts, temperature) = (data.u16_be(2)?, data.i16_be(4)?);
    if millivolts != 0 {
        out.measure("voltage", f64::from(millivolts) / 1000.0);
    }
    if temperature != NO_TEMPERATURE {
        out.measure("temperature", rounded(f64::from(temperature) / 256.0));
    }
    out.measure("advertisements", f64::from(data.u32_be(6)?));
    out.measure("uptime", f64::from(data.u32_be(10)?) / 10.0);
    Ok(())
}

/// Spelt out: the first byte is a scheme, bytes below 14 are endings.
fn url(data: Bytes<'_>) -> String {
    let Some((scheme, rest)) = data.0.split_first() else { return String::new() };
    let mut url = SCHEMES.get(usize::from(*scheme)).copied().unwrap_or_default().to_owned();
    for byte in rest {
        match ENDINGS.get(usize::from(*byte)) {
            Some(ending) => url.push_str(ending),
            None => url.push(char::from(*byte)),
        }
    }
    url
}
