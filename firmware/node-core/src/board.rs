//! What a node needs of its board: a clock that goes on in sleep, sensors, a link to the gateway, perhaps flash.
//!
//! A board implements these traits and calls [`run`](crate::run); everything else is in this crate.

use wire::Reading;

/// How many readings one measurement may have.
pub const MAX_READINGS: usize = 8;

/// What the sensors gave at one time.
pub type Readings = heapless::Vec<Reading, MAX_READINGS>;

/// How many bytes a command may have.
pub const MAX_COMMAND: usize = 64;

/// A command from the gateway, as it came; see [`wire::command`].
pub type Command = heapless::Vec<u8, MAX_COMMAND>;

/// The processor: time, sleep, watchdog, chance.
pub trait Board {
    /// Milliseconds since the start. Goes on while the node sleeps, and never goes back.
    fn uptime_ms(&mut self) -> u64;

    /// Sleeps as deep as the board can. May end early, and then the node sleeps again.
    async fn sleep_until(&mut self, uptime_ms: u64);

    /// Feeds the watchdog. Called at least once in each measurement and each delivery; a board whose watchdog is shorter than
    /// its sleep feeds it there itself.
    fn feed_watchdog(&mut self);

    /// A random number, for the jitter of repeated tries.
    fn random(&mut self) -> u32;
}

/// The sensors of a node.
pub trait Sensors {
    /// Wakes the sensors, measures, and lets them sleep. A sensor that fails is left out, or gives a reading without a value.
    async fn measure(&mut self, readings: &mut Readings);
}

/// What became of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivery {
    /// The gateway has it.
    Acknowledged,
    /// It was sent on a link without acknowledgements.
    Sent,
}

/// Why a frame was not delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkError {
    /// There is no network, or no gateway that answers. The frame stays stored and is tried again later.
    Down,
    /// The gateway has the frame and will never take it, as CoAP's 4.xx answers say. It is given up.
    Refused,
}

/// The way to the gateway.
pub trait Link {
    /// The longest frame in bytes that one delivery can always carry, also when the link is at its worst (at LoRaWAN: at the
    /// lowest data rate). At least [`wire::MIN_MTU`] bytes, and always the same.
    fn mtu(&self) -> usize;

    /// Connects or joins where needed, sends one frame, and waits for its acknowledgement if the link has some. Ends within
    /// two minutes.
    ///
    /// # Errors
    /// Where the gateway does not have the frame.
    async fn deliver(&mut self, frame: &[u8]) -> Result<Delivery, LinkError>;

    /// The next command that came with a delivery.
    fn take_command(&mut self) -> Option<Command>;

    /// The time of day in seconds since 1970-01-01 UTC, from the network; asked for rarely.
    async fn unix_time(&mut self) -> Option<u32> {
        None
    }

    /// Seconds to rest after a delivery, for example for the duty cycle of the radio band.
    fn pause_seconds(&self) -> u32 {
        0
    }

    /// No more deliveries for now: the link may switch its radio off.
    async fn rest(&mut self) {}
}

/// The memory does not work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoreError;

/// Where what was not delivered waits, and a few settings. What it returned `Ok` for outlives a power cut, unless it says otherwise.
pub trait Store {
    /// Appends a record. When the memory is full, the oldest records make room and are counted by [`Self::lost`].
    ///
    /// # Errors
    /// Where the memory does not work.
    async fn push(&mut self, record: &[u8]) -> Result<(), StoreError>;

    /// Copies the oldest record into `buffer` and returns its length; `None` if there is none.
    ///
    /// # Errors
    /// Where the memory does not work.
    async fn peek(&mut self, buffer: &mut [u8]) -> Result<Option<usize>, StoreError>;

    /// Removes the record that [`Self::peek`] returned last.
    ///
    /// # Errors
    /// Where the memory does not work; the record may then come again.
    async fn pop(&mut self) -> Result<(), StoreError>;

    /// How many records were lost since the start because the memory was full or damaged.
    fn lost(&self) -> u32;

    /// Keeps a small value under a key, at most [`MAX_VALUE`] bytes.
    ///
    /// # Errors
    /// Where the memory does not work, or does not outlive a power cut.
    async fn save(&mut self, key: u8, value: &[u8]) -> Result<(), StoreError>;

    /// Copies the value of a key into `buffer` and returns its length; `None` if there is none.
    ///
    /// # Errors
    /// Where the memory does not work, or does not outlive a power cut.
    async fn load(&mut self, key: u8, buffer: &mut [u8]) -> Result<Option<usize>, StoreError>;
}

/// How long a value of [`Store::save`] may be, in bytes.
pub const MAX_VALUE: usize = 56;
