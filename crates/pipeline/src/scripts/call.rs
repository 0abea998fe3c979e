//! One message on its way through a thread: what the script needs of it goes there, the message itself stays.

use std::sync::Arc;

use bytes::Bytes;
use codecs::{DecodeError, Input, Measurements};
use gateway_core::{DeviceAddress, Timestamp, Uplink};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::reader::Reader;
use codecs::script_thread::Work;

/// A message as a thread has it.
struct ScriptCall {
    reader: Arc<Reader>,
    payload: Bytes,
    topic: Arc<str>,
    device: Option<DeviceAddress>,
    metric: Option<Box<str>>,
    port: Option<u8>,
    received_at: Timestamp,
}

/// What a script made of it.
pub(crate) struct Answer {
    /// Which call.
    pub(crate) call: u64,
    pub(crate) measurements: Measurements,
    pub(crate) result: Result<(), DecodeError>,
    pub(crate) took: std::time::Duration,
}

/// The work of reading a message, which sends its answer to `answers`. That channel must have capacity for it.
pub(crate) fn work(call: u64, uplink: &Uplink, reader: &Arc<Reader>, answers: mpsc::Sender<Answer>) -> Work {
    let asked = ScriptCall {
        reader: Arc::clone(reader),
        payload: uplink.payload.clone(),
        topic: Arc::clone(&uplink.topic),
        device: uplink.device.clone(),
        metric: uplink.metric.clone(),
        port: uplink.port,
        received_at: uplink.received_at,
    };
    Box::new(move || {
        let began = Instant::now();
        let mut measurements = Measurements::default();
        let result = asked.reader.read(&asked.input(), &mut measurements);
        // There is no receiver where the gateway has ended.
        let _ = answers.try_send(Answer { call, measurements, result, took: began.elapsed() });
    })
}

impl ScriptCall {
    fn input(&self) -> Input<'_> {
        Input {
            payload: &self.payload,
            topic: &self.topic,
            device: self.device.as_ref().map(DeviceAddress::as_str),
            metric: self.metric.as_deref(),
            port: self.port,
            received_at: self.received_at,
        }
    }
}
