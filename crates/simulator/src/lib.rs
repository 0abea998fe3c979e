//! A building that does not exist, and senders that make real traffic of it.
//!
//! [`Building`] is sans-IO: it says what a device would send at a given time, and is the same for the same seed.
//! A module per protocol ([`mqtt`], `coap`, `lorawan`) puts that on real sockets; `ble` speaks to a radio that is none. [`month`] is for looking at weeks at once: rooms with people,
//! weather and heating, and faults as buildings have them.

#[cfg(feature = "ble")]
pub mod ble;
mod building;
mod chance;
#[cfg(feature = "coap")]
pub mod coap;
mod device;
mod fault;
mod load;
#[cfg(feature = "lorawan")]
pub mod lorawan;
pub mod month;
pub mod mqtt;
mod profile;

pub use building::Building;
pub use device::Message;
pub use fault::Fault;
pub use load::{Load, Sent, SimulateError};
