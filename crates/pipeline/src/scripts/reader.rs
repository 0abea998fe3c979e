//! What reads a message: the codec of its link, that of its device, or both where a network server wraps the payload.

use std::sync::Arc;

use codecs::envelope::Envelope;
use codecs::{Codec, DecodeError, Input, Measurements};
use gateway_core::{DeviceAddress, Uplink};

/// What reads one message, found before it is read.
#[derive(Debug)]
pub(crate) enum Reader {
    /// A message without a payload, such as devices send to be asked something; or one that its link has understood.
    Nothing,
    /// The payload is the device's own.
    Payload(Arc<Codec>),
    /// A network server's message, with the codec of the device's own where it has one.
    Envelope(Box<Envelope>, Option<Arc<Codec>>),
}

impl Reader {
    /// The script that may be asked.
    pub(crate) fn script(&self) -> Option<&Arc<Codec>> {
        let codec = match self {
            Self::Nothing => None,
            Self::Payload(codec) => Some(codec),
            Self::Envelope(_, own) => own.as_ref(),
        };
        codec.filter(|codec| codec.script_file().is_some())
    }

    /// Fills `out`. Where an envelope's payload cannot be read, the radio's measurements are there all the same.
    pub(crate) fn read(&self, input: &Input<'_>, out: &mut Measurements) -> Result<(), DecodeError> {
        out.clear();
        match self {
            Self::Nothing => Ok(()),
            Self::Payload(codec) => codec.decode(input, out),
            Self::Envelope(envelope, own) => envelope.measure(own.as_deref(), input, out),
        }
    }

    /// Fills `out` with what is known of a message whose payload is not read.
    pub(crate) fn pass_over(&self, out: &mut Measurements) -> Result<(), DecodeError> {
        out.clear();
        match self {
            Self::Nothing | Self::Payload(_) => Ok(()),
            Self::Envelope(envelope, _) => envelope.measure_radio(out),
        }
    }
}

/// A message as codecs see it.
pub(crate) fn input(uplink: &Uplink) -> Input<'_> {
    Input {
        payload: &uplink.payload,
        topic: &uplink.topic,
        device: uplink.device.as_ref().map(DeviceAddress::as_str),
        metric: uplink.metric.as_deref(),
        port: uplink.port,
        received_at: uplink.received_at,
    }
}
