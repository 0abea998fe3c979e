//! How long a battery lasts: from the current and the share of time of each [`State`] to years.
//!
//! A [`Load`] is a set of states with its mean current. A [`Node`] makes one from what a report costs and how often one is
//! sent; its numbers are [`figures`] with their sources. A [`Battery`] says how many years it feeds a mean current.
//! Guarantees: no clock, no IO; an input that makes no sense is an [`Error`], never a wrong number.

mod cell;
mod error;
pub mod figures;
mod load;
pub mod lora;
mod node;

pub use cell::{Battery, HOURS_A_YEAR};
pub use error::Error;
pub use load::{Load, State};
pub use node::{ADVERTISING_EVENTS, MAX_ADVERTISEMENT, Node, Phase};
