//! A simulated building, and senders that make real traffic of it.
//!
//! [`Building`] is sans-IO: it gives the message of a device at a time, and depends only on its seed.
//! A module per protocol ([`mqtt`], `coap`, `lorawan`) sends the messages over real sockets; `ble` sends them to a
//! simulated radio. [`month`] simulates weeks at once: rooms with people, weather and heating, and typical faults.

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
