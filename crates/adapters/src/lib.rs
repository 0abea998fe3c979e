//! Links to devices: a folder for each kind of adapter, behind one trait ([`kind::AdapterKind`]).
//!
//! [`kinds`] lists the kinds; everything outside this crate sees [`Adapters`].

mod adapters;
pub mod ble;
pub mod coap;
mod complaints;
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

pub use adapters::{Adapters, ConfiguredKind, KindInfo, KindSchemas, KindTables, RawAction};
