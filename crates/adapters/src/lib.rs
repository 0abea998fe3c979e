//! Links to devices: a folder for each kind of adapter, behind one trait ([`kind::AdapterKind`]).
//!
//! [`kinds`] lists the kinds; everything outside this crate sees [`Adapters`].

mod adapters;
pub mod ble;
pub mod coap;
pub mod downlink;
pub mod kind;
pub mod kinds;
pub mod lines;
pub mod lorawan;
pub mod mqtt;
mod places;
pub mod serial;
pub mod site;
pub mod tcp;
mod udp;

use std::time::Duration;

pub use adapters::{Adapters, ConfiguredKind, KindInfo, KindSchemas, KindTables, RawAction};

/// Log lines of one kind that devices can cause: at most one in this time.
const LOG_PERIOD: Duration = Duration::from_secs(10);
