//! Commands that say what a LoRaWAN device shall do: the device's codec makes the bytes of them (`encodeDownlink`).
//!
//! Promises: a codec runs on a thread of its own, never on the pipeline's. One encodes at a time and at most [`WAITING`] wait, so
//! that commands leave in the order in which they came. What a codec does wrong fails its command alone: it cannot put aside
//! the device's uplinks. Where our codec has no encoder, a network server is asked to use its own.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use codecs::javascript::ScriptFailure;
use codecs::{Codec, DecodeError};
use gateway_core::ports::{Destination, DownlinkContent};
use serde_json::Value;
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;

/// Commands that wait for their bytes, at most.
const WAITING: usize = 64;

/// A command for a device, and who makes the bytes of it.
#[derive(Debug, Clone)]
pub(crate) struct Downlink {
    /// As its adapter knows it.
    pub(crate) device: String,
    /// The user's word; it counts more than the codec's.
    pub(crate) port: Option<u8>,
    pub(crate) confirmed: bool,
    /// A JSON object.
    pub(crate) object: Value,
    pub(crate) encoder: Encoder,
}

/// Who makes the bytes of a command.
#[derive(Debug, Clone)]
pub(crate) struct Encoder {
    /// The device's codec.
    pub(crate) codec: Option<Arc<Codec>>,
    /// A network server does where the codec does not.
    pub(crate) by_server: bool,
}

/// Why there are no bytes.
#[derive(Debug, thiserror::Error)]
pub(crate) enum EncodeError {
    /// The codec refuses, or has no encoder.
    #[error(transparent)]
    Codec(#[from] DecodeError),
    /// Nobody says which port.
    #[error("the codec says no fPort; write `port`")]
    NoPort,
    /// LoRaWAN has application ports from 1 to 223.
    #[error("the codec says fPort {port}; allowed are 1 to 223")]
    Port {
        /// What it says.
        port: u8,
    },
}

impl Downlink {
    /// The command as its adapter takes it. May take as long as a codec may.
    ///
    /// # Errors
    /// Where nobody can make bytes of it.
    pub(crate) fn encode(&self) -> Result<(Destination, Bytes), EncodeError> {
        // A name of its own: a codec that loops here is not put aside for what the device sends.
        let asker = format!("commands to {}", self.device);
        let encoded = match &self.encoder.codec {
            Some(codec) => codec.encode(&self.object, &asker),
            None => Err(ScriptFailure::NoEncoder.into()),
        };
        match encoded {
            Ok(downlink) => {
                let port = self.port.or(downlink.port).ok_or(EncodeError::NoPort)?;
                if !(1..=223).contains(&port) {
                    return Err(EncodeError::Port { port });
                }
                Ok((self.to(port, DownlinkContent::Bytes), downlink.bytes.into()))
            }
            Err(DecodeError::Script(ScriptFailure::NoEncoder)) if self.encoder.by_server => {
                let port = self.port.ok_or(EncodeError::NoPort)?;
                Ok((self.to(port, DownlinkContent::Object), self.object.to_string().into()))
            }
            Err(error) => Err(error.into()),
        }
    }

    fn to(&self, port: u8, content: DownlinkContent) -> Destination {
        Destination::Device { device: self.device.clone(), port, confirmed: self.confirmed, content }
    }
}

/// A command as its adapter takes it, or why there is none.
pub(crate) type Encoded = Result<(Destination, Bytes), String>;
type Then = Box<dyn FnOnce(Encoded) + Send>;

/// Makes the bytes of commands, one after the other.
#[derive(Default)]
pub(crate) struct Desk(OnceLock<mpsc::Sender<(Arc<Downlink>, Then)>>);

impl Desk {
    /// Takes a command; `then` is told what came of it. False where too many wait.
    pub(crate) fn take(&self, downlink: &Arc<Downlink>, then: impl FnOnce(Encoded) + Send + 'static) -> bool {
        let waiting = self.0.get_or_init(|| {
            let (waiting, next) = mpsc::channel(WAITING);
            tokio::spawn(work(next));
            waiting
        });
        waiting.try_send((Arc::clone(downlink), Box::new(then))).is_ok()
    }
}

async fn work(mut next: mpsc::Receiver<(Arc<Downlink>, Then)>) {
    while let Some((downlink, then)) = next.recv().await {
        let encoded = spawn_blocking(move || downlink.encode()).await;
        then(match encoded {
            Ok(encoded) => encoded.map_err(|error| crate::telemetry::chain(&error)),
            Err(error) => Err(error.to_string()),
        });
    }
}

#[cfg(test)]
mod tests;
