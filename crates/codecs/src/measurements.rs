//! Where codecs put what they find: a list that is filled, read and cleared again without giving its memory back, so
//! that decoding a message allocates nothing once the list has grown to its use.
//!
//! Promises: every value is finite; names are 1 to [`MAX_NAME_BYTES`] bytes; there are at most [`MAX_READINGS`]; within
//! one record (one JSON object, one line) a metric stands once, and the last of two wins.

use gateway_core::{DeviceAddress, LinkQuality, Timestamp};
use serde::{Deserialize, Serialize};

use crate::DecodeError;
use crate::words::Quantity;

/// Most readings that one payload may hold.
pub const MAX_READINGS: usize = 1_000;
/// Longest name of a metric in bytes.
pub const MAX_NAME_BYTES: usize = 128;

/// One measurement, borrowed from [`Measurements`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Measurement<'a> {
    /// The device that measured, if the payload names it; else the sender of the payload.
    pub device: Option<&'a str>,
    /// What was measured.
    pub metric: &'a str,
    /// A finite number.
    pub value: f64,
    /// When, where the payload says so; else when it arrived.
    pub at: Option<Timestamp>,
    /// The SenML unit, where the payload says or implies one; else [`crate::unit_of`] the metric.
    pub unit: Option<&'a str>,
    /// Whether the payload said one of two states (`true`, `ON`) rather than a number.
    pub boolean: bool,
    /// What the payload calls it, where `metric` is our name for a vendor's.
    pub said: Option<&'a str>,
}

/// Which key a frame was sealed with, and its counter, which comes once with each key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seal {
    /// Tells keys apart: the first bytes of a hash of the key.
    pub key: u64,
    pub counter: u32,
}

/// What a frame of our own firmware says besides its measurements.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct NodeInfo {
    /// The number that the node gave the readings: if it sends them again, it is the same.
    pub sequence: Option<u16>,
    /// Of a sealed frame.
    pub seal: Option<Seal>,
    /// Name and version of the node's image.
    pub firmware: Option<Box<str>>,
    /// How many reports the node has given up since its start.
    pub lost: Option<u32>,
}

/// The measurements of one payload.
#[derive(Debug, Default)]
pub struct Measurements {
    node: NodeInfo,
    text: String,
    entries: Vec<Entry>,
    /// The first entry of the record that is being read.
    record_start: usize,
    /// How many records were begun.
    records: usize,
    /// How many values came, those that were replaced or left out too: they cost work all the same.
    pushed: usize,
    not_finite: usize,
    /// Lent to codecs to build names in.
    scratch: String,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    metric: Span,
    value: f64,
    at: Option<Timestamp>,
    device: Option<Span>,
    unit: Option<Span>,
    boolean: bool,
    said: Option<Span>,
}

/// A stretch of `Measurements::text`.
#[derive(Debug, Clone, Copy)]
struct Span {
    start: usize,
    end: usize,
}

impl Measurements {
    /// An empty list.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Forgets what it holds and keeps the memory.
    pub fn clear(&mut self) {
        self.node = NodeInfo::default();
        self.text.clear();
        self.entries.clear();
        self.record_start = 0;
        self.records = 0;
        self.pushed = 0;
        self.not_finite = 0;
    }

    /// How many measurements.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none; a payload may be fine and say nothing that can be measured.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// What a frame of our own firmware says besides; empty for other payloads.
    #[must_use]
    pub fn node(&self) -> &NodeInfo {
        &self.node
    }

    pub(crate) fn node_mut(&mut self) -> &mut NodeInfo {
        &mut self.node
    }

    /// How many NaN and infinite values were left out of an otherwise good payload: the caller counts them as dropped.
    #[must_use]
    pub fn not_finite(&self) -> usize {
        self.not_finite
    }

    /// In the order of the payload.
    pub fn iter(&self) -> impl Iterator<Item = Measurement<'_>> {
        self.entries.iter().map(|entry| Measurement {
            device: entry.device.map(|span| self.read(span)),
            metric: self.read(entry.metric),
            value: entry.value,
            at: entry.at,
            unit: entry.unit.map(|span| self.read(span)),
            boolean: entry.boolean,
            said: entry.said.map(|span| self.read(span)),
        })
    }

    /// Adds what the radio says of the message. A payload's own value of the same name gives way.
    ///
    /// # Errors
    /// Where there are more readings than a payload may hold.
    pub fn add_link(&mut self, link: &LinkQuality) -> Result<(), DecodeError> {
        for (metric, value, unit) in link.metrics() {
            self.push(metric, value)?;
            if let Some(unit) = unit {
                self.set_unit(metric, unit);
            }
        }
        Ok(())
    }

    /// Adds what the link itself has understood of the message.
    ///
    /// # Errors
    /// Where there are more readings than a payload may hold, or a name is empty or too long.
    pub fn add_all(&mut self, understood: &[gateway_core::Measurement]) -> Result<(), DecodeError> {
        for gateway_core::Measurement { metric, value, is_state, unit } in understood {
            self.push(metric, Quantity { value: *value, boolean: *is_state })?;
            if let Some(unit) = unit {
                self.set_unit(metric, unit);
            }
        }
        Ok(())
    }

    /// Begins the next record: what is set from now on says nothing of the measurements before.
    pub(crate) fn begin_record(&mut self) {
        self.record_start = self.entries.len();
        self.records += 1;
    }

    /// The number of the record that is being read, counted from 1.
    pub(crate) fn record(&self) -> usize {
        self.records.max(1)
    }

    /// Adds a measurement to the record; NaN and infinities are counted instead.
    pub(crate) fn push(&mut self, metric: &str, quantity: impl Into<Quantity>) -> Result<(), DecodeError> {
        let Quantity { value, boolean } = quantity.into();
        self.pushed += 1;
        if self.pushed > MAX_READINGS {
            return Err(DecodeError::TooManyReadings { most: MAX_READINGS });
        }
        if !value.is_finite() {
            self.not_finite += 1;
            return Ok(());
        }
        if metric.is_empty() {
            return Err(DecodeError::NoName { record: self.record() });
        }
        if metric.len() > MAX_NAME_BYTES {
            return Err(DecodeError::NameTooLong { record: self.record(), most: MAX_NAME_BYTES });
        }
        if let Some(known) = self.find(metric) {
            known.value = value;
            known.boolean = boolean;
            return Ok(());
        }
        let metric = self.write(metric);
        self.entries.push(Entry { metric, value, at: None, device: None, unit: None, boolean, said: None });
        Ok(())
    }

    /// Gives the record's measurements their time.
    pub(crate) fn set_time(&mut self, at: Timestamp) {
        for entry in self.entries.iter_mut().skip(self.record_start) {
            entry.at = Some(at);
        }
    }

    /// Gives all measurements that have no time this one.
    pub(crate) fn set_missing_times(&mut self, at: Timestamp) {
        for entry in &mut self.entries {
            entry.at = entry.at.or(Some(at));
        }
    }

    /// Gives the record's measurements their device.
    pub(crate) fn set_device(&mut self, device: &str) -> Result<(), DecodeError> {
        if device.len() > DeviceAddress::MAX_BYTES {
            return Err(DecodeError::NameTooLong { record: self.record(), most: DeviceAddress::MAX_BYTES });
        }
        let device = self.write(device);
        for entry in self.entries.iter_mut().skip(self.record_start) {
            entry.device = Some(device);
        }
        Ok(())
    }

    /// Gives the measurement `metric` of the record its unit.
    pub(crate) fn set_unit(&mut self, metric: &str, unit: &str) {
        let unit = self.write(unit);
        if let Some(entry) = self.find(metric) {
            entry.unit = Some(unit);
        }
    }

    /// Whether the record has the measurement `metric`.
    pub(crate) fn has(&mut self, metric: &str) -> bool {
        self.find(metric).is_some()
    }

    /// Gives the record's measurements our names and units where `known` has them for the vendor's. A name that the
    /// record has already stays with who has it.
    pub(crate) fn rename(&mut self, known: impl Fn(&str) -> Option<(&'static str, &'static str)>) {
        for index in self.record_start..self.entries.len() {
            let Some(said) = self.entries.get(index).map(|entry| entry.metric) else { return };
            let Some((metric, unit)) = known(self.read(said)) else { continue };
            if self.has(metric) {
                continue;
            }
            let (metric, unit) = (self.write(metric), (!unit.is_empty()).then(|| self.write(unit)));
            if let Some(entry) = self.entries.get_mut(index) {
                *entry = Entry { metric, unit, said: Some(said), ..*entry };
            }
        }
    }

    /// A string to build names in, empty; handed back with [`Self::return_scratch`].
    pub(crate) fn take_scratch(&mut self) -> String {
        let mut scratch = std::mem::take(&mut self.scratch);
        scratch.clear();
        scratch
    }

    pub(crate) fn return_scratch(&mut self, scratch: String) {
        self.scratch = scratch;
    }

    fn find(&mut self, metric: &str) -> Option<&mut Entry> {
        let text = &self.text;
        let is_same = |entry: &&mut Entry| text.get(entry.metric.start..entry.metric.end) == Some(metric);
        self.entries.iter_mut().skip(self.record_start).find(is_same)
    }

    fn write(&mut self, text: &str) -> Span {
        let start = self.text.len();
        self.text.push_str(text);
        Span { start, end: self.text.len() }
    }

    fn read(&self, span: Span) -> &str {
        self.text.get(span.start..span.end).unwrap_or_default()
    }
}
