//! The types of the domain, and the traits between the crates. No IO, no clock, no protocol.
//!
//! An adapter produces [`Uplink`]s; decoding makes [`Reading`]s of them; windows make [`Aggregate`]s, rules and detectors make
//! [`Alert`]s. Every reading ends in one of these or is counted under a [`DropReason`].

mod aggregate;
mod alert;
mod backoff;
mod bounded_map;
mod chain;
mod condition;
mod device;
mod drop_reason;
pub mod durable;
pub mod files;
pub mod findings;
mod fingerprint;
mod guarded;
mod left_out;
pub mod listener;
pub mod memory;
mod memory_budget;
mod moment;
mod peer;
pub mod percent;
pub mod ports;
mod reading;
mod score;
mod services;
pub mod settings;
pub mod suggest;
mod target;
mod throttle;
mod time;
pub mod topic;
mod uplink;
mod validity;
mod window;

pub use aggregate::{Aggregate, Detail, Subject, Summary};
pub use alert::{Alert, AlertKind, AlertState, Notice, Severity};
pub use backoff::Backoff;
pub use bounded_map::BoundedMap;
pub use chain::{causes, chain};
pub use condition::{AdapterHealth, Condition, PartHealth};
pub use device::{DeviceAddress, DeviceId, MetricId, ZoneId};
pub use drop_reason::DropReason;
pub use fingerprint::fingerprint;
pub use guarded::guarded;
pub use left_out::left_out;
pub use memory_budget::{MemoryBudget, MemoryPermit};
pub use moment::Moment;
pub use peer::network;
pub use reading::{MetricKind, Reading};
pub use score::{AnomalyKind, Score};
pub use services::Services;
pub use throttle::{Elapsed, Throttle};
pub use time::{Now, ParseTimestampError, TimeQuality, Timestamp};
pub use uplink::{Ack, AdapterId, CodecId, Delivery, LinkQuality, Measurement, Outcome, Uplink};
pub use validity::Validity;
pub use window::Window;
