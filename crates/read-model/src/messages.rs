//! The last messages of each device, and what came of them: for people who want to see what a device really sends.
//!
//! Kept only while somebody has asked for it ([`Messages::keep`]), of the devices that sent last: [`MOST_DEVICES`], with
//! [`MOST_MESSAGES`] each, of which [`MOST_BYTES`] at most. About 3 MB.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use gateway_core::{BoundedMap, DropReason, Timestamp};

use crate::lock;

const MOST_DEVICES: usize = 2000;
const MOST_MESSAGES: usize = 3;
/// Of a payload.
pub const MOST_BYTES: usize = 256;
/// Values of a message.
pub const MOST_VALUES: usize = 24;

/// One message.
#[derive(Debug, Clone, PartialEq)]
pub struct Message {
    /// When it came, by the gateway's clock.
    pub at: Timestamp,
    /// The adapter's name.
    pub adapter: Arc<str>,
    /// The codec's name; none where the adapter itself understands the message.
    pub codec: Option<&'static str>,
    /// LoRaWAN's FPort.
    pub port: Option<u8>,
    /// Its beginning.
    pub payload: Box<[u8]>,
    /// Length of the whole payload, in bytes.
    pub length: usize,
    /// What the codec made of it, under the names that it gave.
    pub values: Vec<(Box<str>, f64)>,
    /// Why it was refused.
    pub refused: Option<(DropReason, String)>,
}

/// What is known of the messages of a device.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct DeviceMessages {
    /// The newest first.
    pub newest: VecDeque<Message>,
    /// Messages since they are kept.
    pub received: u64,
    /// Of these, refused ones by reason.
    pub refused: BTreeMap<DropReason, u64>,
}

/// The messages of all devices.
#[derive(Debug)]
pub struct Messages {
    kept: AtomicBool,
    devices: Mutex<BoundedMap<Arc<str>, DeviceMessages>>,
}

impl Default for Messages {
    fn default() -> Self {
        Self { kept: AtomicBool::new(false), devices: Mutex::new(BoundedMap::new(MOST_DEVICES)) }
    }
}

impl Messages {
    /// Keeps messages from now on, or none.
    pub fn keep(&self, keep: bool) {
        self.kept.store(keep, Ordering::Relaxed);
        if !keep {
            *lock(&self.devices) = BoundedMap::new(MOST_DEVICES);
        }
    }

    /// Whether they are kept, so that a message is worth making.
    #[must_use]
    pub fn are_kept(&self) -> bool {
        self.kept.load(Ordering::Relaxed)
    }

    /// Takes a message in.
    pub fn add(&self, device: &str, message: Message) {
        let mut devices = lock(&self.devices);
        let entry = devices.refresh(Arc::from(device));
        entry.received += 1;
        if let Some((reason, _)) = &message.refused {
            *entry.refused.entry(*reason).or_default() += 1;
        }
        entry.newest.truncate(MOST_MESSAGES - 1);
        entry.newest.push_front(message);
    }

    /// What is known of a device's messages.
    #[must_use]
    pub fn of(&self, device: &str) -> Option<DeviceMessages> {
        lock(&self.devices).get(device).cloned()
    }
}
