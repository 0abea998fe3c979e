//! `node`: the frames of our own firmware, which the crate `wire` defines.
//!
//! - The first sensor of a quantity has the plain name, the one on channel n the name with `_n`: a name never depends on
//!   how many sensors a node has.
//! - A sensor that gave no value makes no measurement.
//! - What was measured some seconds ago has its time, by the arrival; all else is of the arrival.
//! - A frame is taken whole: an unknown version or tag refuses it.
//! - With the device's key only frames that are sealed with it are taken. Whether a counter or a sequence number was seen
//!   before, the pipeline knows: a codec has no memory.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::str::FromStr;
use std::time::Duration;

use gateway_core::Timestamp;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use wire::sealed::{self, Key, OpenError};
use wire::{Channel, Item, Quantity, Reading};

use crate::words::{self, Quantity as Number};
use crate::{DecodeError, Input, Measurements, Seal};

/// The key of a device whose frames are sealed; it does not print.
#[derive(Debug, Clone)]
pub struct NodeKey {
    key: Key,
    /// [`Seal::key`].
    id: u64,
}

/// What is no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be 64 hexadecimal digits, such as `openssl rand -hex 32` prints")]
pub struct KeyError;

impl FromStr for NodeKey {
    type Err = KeyError;

    fn from_str(digits: &str) -> Result<Self, KeyError> {
        let mut key = [0; 32];
        hex::decode_to_slice(digits.trim(), &mut key).map_err(|_| KeyError)?;
        let [a, b, c, d, e, f, g, h, ..]: [u8; 32] = Sha256::digest(key).into();
        Ok(Self { key: Key::new(key), id: u64::from_be_bytes([a, b, c, d, e, f, g, h]) })
    }
}

pub(crate) fn decode(
    input: &Input<'_>,
    key: Option<&NodeKey>,
    out: &mut Measurements,
) -> Result<(), DecodeError> {
    let (frame, seal) = open(input.payload, key)?;
    let mut name = out.take_scratch();
    let decoded = read(&frame, input.received_at, &mut name, out);
    out.return_scratch(name);
    out.node_mut().seal = seal;
    decoded
}

/// The frame within a sealed one, and its seal; a frame itself if the device has no key.
fn open<'p>(payload: &'p [u8], key: Option<&NodeKey>) -> Result<(Cow<'p, [u8]>, Option<Seal>), DecodeError> {
    let Some(NodeKey { key, id }) = key else { return Ok((payload.into(), None)) };
    let refused = |source| DecodeError::Sealed { source };
    let length = payload.len().checked_sub(sealed::OVERHEAD).ok_or(refused(OpenError::NotSealed))?;
    let mut frame = vec![0; length];
    let (header, _) = sealed::open(key, payload, &mut frame).map_err(refused)?;
    Ok((frame.into(), Some(Seal { key: *id, counter: header.counter })))
}

fn read(
    frame: &[u8],
    received_at: Timestamp,
    name: &mut String,
    out: &mut Measurements,
) -> Result<(), DecodeError> {
    let mut at = None;
    out.begin_record();
    for item in wire::decode(frame).map_err(refused)? {
        let began_at = match item.map_err(refused)? {
            Item::Reading(reading) => {
                push(&reading, name, out)?;
                continue;
            }
            Item::Sequence(number) => {
                out.node_mut().sequence = Some(number);
                continue;
            }
            Item::Lost(reports) => {
                out.node_mut().lost = Some(reports);
                continue;
            }
            Item::Firmware(text) => {
                out.node_mut().firmware = Some(text.into());
                continue;
            }
            Item::Age(seconds) => received_at - Duration::from_secs(u64::from(seconds)),
            Item::Time(seconds) => Timestamp::from_millis(i64::from(seconds) * 1000),
        };
        end_record(at, out);
        out.begin_record();
        at = Some(began_at);
    }
    end_record(at, out);
    Ok(())
}

fn end_record(at: Option<Timestamp>, out: &mut Measurements) {
    if let Some(at) = at {
        out.set_time(at);
    }
}

fn push(reading: &Reading, name: &mut String, out: &mut Measurements) -> Result<(), DecodeError> {
    let Some(number) = number(reading) else { return Ok(()) };
    write_name(reading, name);
    out.push(name, number)?;
    // Some devices give µg/m³ under this name, so that its unit does not follow from it.
    if reading.quantity == Quantity::Voc {
        out.set_unit(name, "ppb");
    }
    Ok(())
}

/// What the frame says, in order: what the sensors gave (null where one gave nothing), and what else there is.
pub(crate) fn data(input: &Input<'_>, key: Option<&NodeKey>) -> Result<Value, DecodeError> {
    let (frame, seal) = open(input.payload, key)?;
    let (mut list, mut time, mut name) = (Vec::new(), ("seconds_ago", 0), String::new());
    list.extend(seal.map(|seal| json!({ "counter": seal.counter })));
    for item in wire::decode(&frame).map_err(refused)? {
        match item.map_err(refused)? {
            Item::Age(seconds) => time = ("seconds_ago", seconds),
            Item::Time(seconds) => time = ("unix_time", seconds),
            Item::Sequence(number) => list.push(json!({ "sequence": number })),
            Item::Lost(reports) => list.push(json!({ "lost": reports })),
            Item::Firmware(text) => list.push(json!({ "firmware": text })),
            Item::Reading(reading) => {
                write_name(&reading, &mut name);
                let value = number(&reading).map(|number| number.value);
                list.push(json!({ "metric": name, "value": value, time.0: time.1 }));
            }
        }
    }
    Ok(list.into())
}

/// The value in the metric's unit.
fn number(reading: &Reading) -> Option<Number> {
    let (quantity, raw) = (reading.quantity, reading.raw?);
    if quantity.is_state() {
        return Some(words::from_bool(raw == 1));
    }
    // Divided, 2147 hundredths are the number that 21.47 is; multiplied by 0.01 they are not.
    Some(Number::from(raw as f64 / f64::from(quantity.divisor())))
}

fn write_name(reading: &Reading, name: &mut String) {
    name.clear();
    name.push_str(reading.quantity.name());
    if reading.channel != Channel::FIRST {
        // Writing to a string cannot fail.
        let _ = write!(name, "_{}", reading.channel.number());
    }
}

fn refused(source: wire::DecodeError) -> DecodeError {
    DecodeError::Node { source }
}
