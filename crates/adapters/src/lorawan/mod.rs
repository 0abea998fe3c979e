//! LoRaWAN devices behind Semtech UDP packet forwarders: Riser is their network server.
//!
//! Promises:
//! - A confirmed uplink is acknowledged once the pipeline has told that it is in the journal. An uplink counts once, also
//!   where it is sent again after a restart or a power cut: what the journal has, it knows again by its counter.
//! - No join accept and no other downlink leaves before the session behind it is on disk; counters of uplinks follow
//!   within a second, and at the stop.
//! - One task owns socket and network; what it holds is bounded, whatever comes in. SQLite works on threads of its own.
//! - Every refused frame is counted with its reason, those of known devices in the ledger. Keys do not print.
//! - A port that is taken is waited for.

mod adapter;
mod build;
mod check;
mod commands;
pub mod config;
pub mod device;
mod figures;
mod intake;
mod keeper;
mod kind;
mod networks;
mod salvage;
mod store;
mod tally;

pub use adapter::{KnownDevice, LorawanAdapter, Settings};
pub use kind::{Lorawan, TargetKeys};
pub use networks::{Network, NetworkError};
pub use store::StoreError;
