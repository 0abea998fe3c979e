//! `gateway.toml`: what may stand in it, how it is read, checked and described.
//!
//! ```text
//! file, environment --document, overrides--> trees with places
//!      --validate (against shape)--> trees that fit --layers--> Config --files, check--> Loaded
//! ```
//! All errors are reported at once, each with its place; a [`Loaded`] has none. The example, the reference and the JSON
//! Schema are made of the same types ([`reference`]). Tables of adapters belong to their kinds: this crate sees them
//! through `adapters::KindInfo` and `adapters::ConfiguredKind` only.

mod check;
mod diff;
mod document;
mod layers;
mod load;
pub mod machine;
mod masked;
mod model;
mod not_yet;
mod overrides;
mod read;
pub mod reference;
mod rules;
mod shape;
#[cfg(test)]
mod tests;
mod validate;

pub use diff::restart_needed;
pub use load::{ConfigError, LoadOptions, Loaded, check_text, load, load_or_default};
pub use model::{
    Action, Aggregate, Alert, Anomaly, Config, Escalate, Gateway, History, Journal, MAX_PERCENTILES,
    MAX_SERIES, Metric, On, SilentFor, StateValue, UnknownDevices,
};
pub use rules::rule;
