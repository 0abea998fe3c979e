//! An MQTT broker without input and output: sessions, subscriptions, retained messages, wills and flow control of MQTT
//! 3.1, 3.1.1 and 5. The caller has the sockets, the clock and the disk.
//!
//! Use: [`Engine::connect`] for a CONNECT, [`Engine::receive`] for each further packet, [`Engine::output`] for the bytes to
//! send, [`Engine::take_woken`] for the connections that have some, [`Engine::tick`] about once a second. Before anything
//! of `output` is sent, the caller stores the records of [`Engine::take_records`] and reports that with
//! [`Engine::stored`].
//!
//! Guarantees:
//! - No QoS 1 or 2 message is acknowledged before the records that it needs are stored and the adapters that subscribe
//!   to it have taken it.
//! - What is dropped is counted by cause in [`Stats`] and told in an [`Event`].
//! - All memory is bounded by [`Limits`], in bytes where clients choose the size.
//! - No packet can panic it.

pub mod engine;
pub mod packet;
pub mod reason;
pub mod topic;

pub use engine::{
    AckToken, Cleaning, Closed, ConnectionKey, Drops, Engine, Event, Internal, InternalClient,
    InternalDelivery, InternalOutput, InternalPublish, Limits, LocalPublish, Message, Now, Output, Peer,
    Policy, Received, Refused, Rest, RestoreError, Restoring, Stats, Step, refused,
};
