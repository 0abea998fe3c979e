//! Links to devices: a folder for each kind of adapter, behind one trait ([`kind::AdapterKind`]).
//!
//! [`kinds`] lists the kinds; everything outside this crate sees [`Adapters`].

mod adapters;
#[cfg(feature = "ble")]
pub mod ble;
#[cfg(feature = "coap")]
pub mod coap;
#[cfg(any(feature = "coap", feature = "lorawan"))]
#[cfg_attr(
    not(all(feature = "coap", feature = "lorawan")),
    allow(dead_code, reason = "each uses a part of it")
)]
mod datagrams;
pub mod downlink;
#[cfg(any(feature = "coap", feature = "lorawan"))]
#[cfg_attr(
    not(all(feature = "coap", feature = "lorawan")),
    allow(dead_code, reason = "each uses a part of it")
)]
mod in_flight;
pub mod kind;
pub mod kinds;
pub mod lines;
#[cfg(feature = "lorawan")]
pub mod lorawan;
pub mod mqtt;
pub mod serial;
pub mod site;
pub mod tcp;

use std::time::Duration;

pub use adapters::{Adapters, ConfiguredKind, KindInfo, KindSchemas, KindTables, RawAction};

/// Log lines of one kind that devices can cause: at most one in this time.
const LOG_PERIOD: Duration = Duration::from_secs(10);
