//! What can be asked of a running gateway, and what it reports by itself. Everything here reads the read model or asks the
//! pipeline through [`Control`](crate::Control); nothing in the pipeline waits for it.

pub mod audit;
pub mod health;
pub mod health_source;
pub mod live_socket;
pub mod reporter;
