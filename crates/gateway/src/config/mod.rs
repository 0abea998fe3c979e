//! `gateway.toml`: what may stand in it, how it is read, checked and described.
//!
//! ```text
//! file, environment --document, overrides--> trees with places
//!      --validate (against shape)--> trees that fit --layers--> model::Config --secrets, check--> Loaded
//! ```
//! Every error is told at once and with its place; a [`Loaded`] has none. The example, the reference and the JSON Schema
//! are made of the same types (`reference`).

pub(crate) mod action;
mod check;
mod diff;
mod document;
mod field_order;
mod finding;
mod key_path;
mod layers;
mod load;
pub(crate) mod machine;
pub(crate) mod model;
mod not_yet;
mod overrides;
pub(crate) mod reference;
mod report;
pub(crate) mod secrets;
mod shape;
#[cfg(test)]
mod tests;
mod validate;

pub(crate) use diff::restart_needed;
pub(crate) use load::{ConfigError, LoadOptions, Loaded, load, load_or_default};
