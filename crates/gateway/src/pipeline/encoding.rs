//! Commands that say what a LoRaWAN device shall do: the device's codec makes the bytes of them (`encodeDownlink`).
//!
//! Promises: each command is encoded on a thread of its own. One is at a time and at most [`WAITING`] wait, so that commands
//! leave in the order in which they came. What a codec does wrong fails its command alone: it cannot put aside the device's
//! uplinks, and one that does not come back is given up after [`PATIENCE`]. Where our codec has no encoder, a network server
//! is asked to use its own.

use std::io;
use std::sync::{Arc, OnceLock, mpsc as std_mpsc};
use std::time::Duration;

use bytes::Bytes;
use codecs::javascript::ScriptFailure;
use codecs::{Codec, DecodeError};
use gateway_core::ports::{Destination, DownlinkContent};
use serde_json::Value;
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::time::timeout;

/// Commands that wait for their bytes, at most.
const WAITING: usize = 64;
/// How long a codec is waited for: a multiple of the processor time that it has, for machines that are busy. The engine does
/// not look at the time while it is at work itself, such as at a regular expression.
const PATIENCE: Duration = Duration::from_secs(5);
/// Threads that may not have come back, at most.
const STUCK: usize = 4;

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
    /// Given up.
    #[error("the codec did not come back")]
    Stuck,
    /// As many as may be have not come back.
    #[error("{STUCK} commands are with codecs that do not come back; nothing is encoded until one does")]
    AllStuck,
    /// The system has none left.
    #[error("there is no thread for the codec")]
    NoThread(#[from] io::Error),
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
    pub(crate) fn try_out(self) -> Result<(Destination, Bytes), EncodeError> {
        let (tell, told) = std_mpsc::channel();
        Arc::new(self).on_a_thread(move |encoded| drop(tell.send(encoded)))?;
        told.recv_timeout(PATIENCE).unwrap_or(Err(EncodeError::Stuck))
    }

    /// Encodes on a thread that is left to itself: nobody can stop one in which the engine is at work.
    fn on_a_thread(
        self: Arc<Self>,
        tell: impl FnOnce(Result<(Destination, Bytes), EncodeError>) + Send + 'static,
    ) -> io::Result<()> {
        let thread = std::thread::Builder::new().name("riser-encoder".to_owned());
        thread.spawn(move || tell(self.encode())).map(drop)
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
    let threads = Arc::new(Semaphore::new(STUCK));
    while let Some((downlink, then)) = next.recv().await {
        let encoded = encode(downlink, &threads, PATIENCE).await;
        then(encoded.map_err(|error| crate::telemetry::chain(&error)));
    }
}

/// A thread keeps its permit of `threads` until it comes back, be it after it was given up.
async fn encode(
    downlink: Arc<Downlink>,
    threads: &Arc<Semaphore>,
    patience: Duration,
) -> Result<(Destination, Bytes), EncodeError> {
    let permit = Arc::clone(threads).try_acquire_owned().map_err(|_| EncodeError::AllStuck)?;
    let (tell, told) = oneshot::channel();
    downlink.on_a_thread(move |encoded| {
        drop(permit);
        // Who waited may have given up.
        let _ = tell.send(encoded);
    })?;
    timeout(patience, told).await.ok().and_then(Result::ok).unwrap_or(Err(EncodeError::Stuck))
}

#[cfg(test)]
mod tests;
