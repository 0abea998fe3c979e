//! Bluetooth Low Energy through BlueZ, over D-Bus: what is in the air, and the values of devices.
//!
//! Knows no sensor's format. Promises: no call waits without a limit, no queue is without a bound, and whatever becomes of
//! bluetoothd or the adapter, it goes on when they do.

pub mod gatt;
mod heard;
mod ladder;
mod link;
mod monitor;
mod radio;
mod scan;
mod session;
mod speaker;
mod uuid;

pub use heard::Heard;
pub use ladder::{Ladder, Step};
pub use link::{Link, LinkError};
pub use monitor::Pattern;
pub use radio::{Options, Radio, Scan, State, Status};
pub use speaker::Speaker;
pub use uuid::{NotAUuid, Uuid};
