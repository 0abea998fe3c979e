//! `format = "json"`: each record is the JSON object that [`Record::to_json`] writes.

use gateway_core::ports::Clock;
use record::Record;

use super::{Encoder, Outgoing};
use crate::upstream::topics::topic;

pub(super) struct Json {
    prefix: String,
}

impl Json {
    pub(super) fn new(prefix: &str) -> Self {
        Self { prefix: prefix.to_owned() }
    }
}

impl Encoder for Json {
    fn data(&mut self, record: &Record, number: u64, _clock: &dyn Clock) -> Outgoing {
        Outgoing { topic: topic(&self.prefix, record), payload: record.to_json(Some(number)) }
    }
}
