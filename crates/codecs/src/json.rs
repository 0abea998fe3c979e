//! `json` and `cbor`: an object of the user's own making.
//!
//! - Every number and boolean is a metric, nested names joined with `.`; booleans count 1 and 0; null, texts and arrays
//!   make none.
//! - `time`, `timestamp` or `ts` at the top is the event time and no metric: RFC 3339 (without an offset: local time of
//!   the gateway), or epoch seconds or milliseconds, as a number or as text. Where there are several, the first of these
//!   names counts. Null says that there is none; anything else that is no time refuses the payload.
//! - An array of objects at the top holds several records, each with its own time.
//! - Of two equal names in one object the last one counts.
//! - Where the topic names the metric, a bare number or boolean is its value; of an object, `value` is it and the other
//!   names are put behind it (`temperature.battery`).
//!
//! CBOR (RFC 8949) in the same way; integer keys are names in decimal.

use gateway_core::Timestamp;
use jiff::tz::TimeZone;

use crate::flatten::{self, Leaf, Leaves};
use crate::{DecodeError, Input, Measurements, cbor, time, words};

const EXPECTED: &str =
    "an object, or an array of objects; a bare number only where the topic names the {metric}";

pub(crate) fn decode(input: &Input<'_>, zone: &TimeZone, out: &mut Measurements) -> Result<(), DecodeError> {
    let text = crate::text(input.payload)?;
    let mut path = path_for(input, out);
    let read = flatten::json(text, &mut path, &mut Object::new(input, zone, out));
    out.return_scratch(path);
    read
}

pub(crate) fn decode_cbor(
    input: &Input<'_>,
    zone: &TimeZone,
    out: &mut Measurements,
) -> Result<(), DecodeError> {
    let item = cbor::parse(input.payload)?;
    let mut path = path_for(input, out);
    let read = cbor::walk(&item, &mut path, &mut Object::new(input, zone, out));
    out.return_scratch(path);
    read
}

fn path_for(input: &Input<'_>, out: &mut Measurements) -> String {
    let mut path = out.take_scratch();
    path.push_str(input.metric.unwrap_or_default());
    path
}

struct Object<'a> {
    out: &'a mut Measurements,
    zone: &'a TimeZone,
    metric: Option<&'a str>,
    /// The record's time and the rank of the name it stood under.
    time: Option<(u8, Timestamp)>,
}

impl<'a> Object<'a> {
    fn new(input: &Input<'a>, zone: &'a TimeZone, out: &'a mut Measurements) -> Self {
        Self { out, zone, metric: input.metric, time: None }
    }

    fn take_time(&mut self, rank: u8, leaf: Leaf<'_>) -> Result<(), DecodeError> {
        let at = match leaf {
            Leaf::Null => return Ok(()),
            Leaf::Boolean(_) => None,
            Leaf::Number(number) => Timestamp::from_epoch_number(number),
            Leaf::Text(text) => time::from_text(text, self.zone),
        };
        let at = at.ok_or_else(|| DecodeError::BadTime { record: self.out.record() })?;
        if self.time.is_none_or(|(best, _)| rank <= best) {
            self.time = Some((rank, at));
        }
        Ok(())
    }

    /// `path` without the metric of the topic before it.
    fn own_name<'p>(&self, path: &'p str) -> &'p str {
        let before = self.metric.map_or(0, |metric| metric.len() + 1);
        path.get(before..).unwrap_or(path)
    }
}

impl Leaves for Object<'_> {
    fn record_begins(&mut self) {
        self.out.begin_record();
        self.time = None;
    }

    fn leaf(&mut self, path: &str, leaf: Leaf<'_>) -> Result<(), DecodeError> {
        let name = self.own_name(path);
        if let Some(rank) = time::rank_of_key(name) {
            return self.take_time(rank, leaf);
        }
        let value = match leaf {
            Leaf::Number(number) => number.into(),
            Leaf::Boolean(boolean) => words::from_bool(boolean),
            Leaf::Null | Leaf::Text(_) => return Ok(()),
        };
        match self.metric {
            Some(metric) if name == "value" => self.out.push(metric, value),
            _ => self.out.push(path, value),
        }
    }

    fn record_ends(&mut self) {
        if let Some((_, at)) = self.time {
            self.out.set_time(at);
        }
    }

    fn bare(&mut self, leaf: Leaf<'_>) -> Result<(), DecodeError> {
        let value = match leaf {
            Leaf::Number(number) => number.into(),
            Leaf::Boolean(boolean) => words::from_bool(boolean),
            Leaf::Null | Leaf::Text(_) => return Err(DecodeError::Shape { expected: EXPECTED }),
        };
        let metric = self.metric.ok_or(DecodeError::Shape { expected: EXPECTED })?;
        let value = value.finite()?;
        self.out.begin_record();
        self.out.push(metric, value)
    }
}
