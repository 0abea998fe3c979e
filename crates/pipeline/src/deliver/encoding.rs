//! Commands that say what a LoRaWAN device shall do: the device's codec makes the bytes of them (`encodeDownlink`).
//!
//! Promises: commands are encoded one after the other and leave in the order in which they came; at most [`WAITING`] wait.
//! What a codec does wrong fails its command alone: it cannot put aside the device's uplinks, and one that does not come
//! back is given up (`script_thread.rs`). Where our codec has no encoder, a network server is asked to use its own.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use codecs::javascript::ScriptFailure;
use codecs::{Codec, DecodeError};
use gateway_core::ports::{Destination, DownlinkContent};
use serde_json::Value;
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;

use crate::scripts::thread::{Lost, Waiting};

/// Commands that wait for their bytes, at most.
const WAITING: usize = 64;
/// A command for a device, and who makes the bytes of it.
#[derive(Debug, Clone)]
pub struct Downlink {
    /// As its adapter knows it.
    pub device: String,
    /// The user's word; it counts more than the codec's.
    pub port: Option<u8>,
    pub confirmed: bool,
    /// A JSON object.
    pub object: Value,
    pub encoder: Encoder,
}

/// Who makes the bytes of a command.
#[derive(Debug, Clone)]
pub struct Encoder {
    /// The device's codec.
    pub codec: Option<Arc<Codec>>,
    /// A network server does where the codec does not.
    pub by_server: bool,
}

/// Why there are no bytes.
#[derive(Debug, thiserror::Error)]
pub enum EncodeError {
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
    /// It was given up, or not asked.
    #[error(transparent)]
    Lost(#[from] Lost),
}

impl Downlink {
    /// The command as its adapter takes it. May take as long as the engine likes.
    ///
    /// # Errors
    /// Where nobody can make bytes of it.
    fn encode(&self) -> Result<(Destination, Bytes), EncodeError> {
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

    /// [`Self::encode`] for those who may wait, such as `riser check`.
    ///
    /// # Errors
    /// As [`Self::encode`], and where the codec does not come back.
    pub fn try_out(self) -> Result<(Destination, Bytes), EncodeError> {
        Waiting::default().run(move || self.encode())?
    }

    fn to(&self, port: u8, content: DownlinkContent) -> Destination {
        Destination::Device { device: self.device.clone(), port, confirmed: self.confirmed, content }
    }
}

/// A command as its adapter takes it, or why there is none.
pub type Encoded = Result<(Destination, Bytes), String>;
type Then = Box<dyn FnOnce(Encoded) + Send>;

/// Makes the bytes of commands, one after the other.
#[derive(Default)]
pub struct Desk(OnceLock<mpsc::Sender<(Arc<Downlink>, Then)>>);

impl Desk {
    /// Takes a command; `then` is told what came of it. False where too many wait.
    pub fn take(&self, downlink: &Arc<Downlink>, then: impl FnOnce(Encoded) + Send + 'static) -> bool {
        let waiting = self.0.get_or_init(|| {
            let (waiting, next) = mpsc::channel(WAITING);
            tokio::spawn(work(next));
            waiting
        });
        waiting.try_send((Arc::clone(downlink), Box::new(then))).is_ok()
    }
}

async fn work(mut next: mpsc::Receiver<(Arc<Downlink>, Then)>) {
    let mut scripts = Waiting::default();
    while let Some((downlink, then)) = next.recv().await {
        let asked = spawn_blocking(move || {
            let encoded = scripts.run(move || downlink.encode());
            (scripts, encoded)
        });
        let Ok((back, encoded)) = asked.await else { return };
        scripts = back;
        let encoded = encoded.unwrap_or_else(|lost| Err(lost.into()));
        then(encoded.map_err(|error| gateway_core::chain(&error)));
    }
}

#[cfg(test)]
mod tests;
