//! The web page of the gateway, its API under `/api/v1`, and its metrics.
//!
//! # What it promises
//! - It reads, and asks: nothing in the pipeline waits for it, and no number of requests takes the gateway's memory.
//! - On loopback anybody of this machine may come in, if there is no password. Elsewhere [`check`] demands a password or
//!   tokens, and a certificate or the word `insecure`.
//! - A page of another site can neither read nor change anything: names and origins of requests are checked
//!   (`guard`), cookies go to no other site, and no script runs but ours.
//!
//! `server` accepts connections, `guard` and `access` decide who may come in, `api` lists the paths, `live` makes the
//! stream of events, `metrics` the metrics, `assets` has the page.

pub mod check;
pub mod config;

#[cfg(feature = "server")]
mod access;
#[cfg(feature = "server")]
mod answers;
#[cfg(feature = "server")]
mod api;
#[cfg(feature = "server")]
mod assets;
#[cfg(feature = "server")]
mod attempts;
#[cfg(feature = "server")]
mod drawings;
#[cfg(feature = "server")]
mod extract;
#[cfg(feature = "server")]
mod guard;
#[cfg(feature = "server")]
mod history_reader;
#[cfg(feature = "server")]
mod live;
#[cfg(feature = "server")]
pub mod metrics;
#[cfg(feature = "server")]
mod overview;
#[cfg(feature = "server")]
mod probes;
#[cfg(feature = "server")]
mod problem;
#[cfg(feature = "server")]
mod recent;
#[cfg(feature = "server")]
mod server;
#[cfg(feature = "server")]
mod sessions;
#[cfg(feature = "server")]
mod shares;
#[cfg(feature = "server")]
pub mod site;
#[cfg(feature = "server")]
mod state;
#[cfg(feature = "server")]
mod stream;
#[cfg(feature = "server")]
mod times;
#[cfg(feature = "server")]
mod tls;
#[cfg(feature = "server")]
mod views;
#[cfg(feature = "server")]
mod work;

#[cfg(feature = "server")]
pub use api::document;
#[cfg(feature = "server")]
pub use history_reader::HistorySource;
#[cfg(feature = "server")]
pub use server::Server;
#[cfg(feature = "server")]
pub use state::Sources;
