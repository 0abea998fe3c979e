//! The outputs of an engine: datagrams and events, its counters and its memory use.

use bytes::Bytes;

#[cfg(doc)]
use super::Engine;
use super::{RequestFailure, RequestId};
use crate::message::Token;
use crate::peer::Peer;
use crate::request::Request;
use crate::response::Response;
#[cfg(doc)]
use crate::settings::Settings;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    Send {
        peer: Peer,
        bytes: Bytes,
    },
    /// A request arrived; answer it with [`Engine::respond`].
    Request {
        /// Identifies the request in the answer.
        id: RequestId,
        peer: Peer,
        request: Request,
        /// A hash of its (last) message. A repetition by the peer has the same, for another engine too.
        fingerprint: u64,
        /// It was sent to a group: answer only if there is something useful to say.
        multicast: bool,
    },
    /// The result of one of our requests: once for each, unless it is cancelled. An observation ends with a second one, with
    /// `observing: false`.
    Response {
        /// Returned by [`Engine::request`].
        token: Token,
        peer: Peer,
        /// The response, which may be an error, or why there is none.
        result: Result<Response, RequestFailure>,
        /// Notifications follow.
        observing: bool,
    },
    /// A new state of an observed resource.
    Notification {
        /// Returned by [`Engine::request`].
        token: Token,
        peer: Peer,
        response: Response,
    },
    /// An observer has deregistered or does not answer.
    ObserverGone {
        peer: Peer,
        resource: String,
    },
}

/// Counters since the start of the engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counters {
    /// Datagrams that are not CoAP or violate its format.
    pub malformed: u64,
    /// Duplicates received.
    pub duplicates: u64,
    /// Retransmissions of CONs.
    pub retransmitted: u64,
    /// CONs without an acknowledgement after all retransmissions.
    pub timed_out: u64,
    /// Requests that the owner did not answer in time.
    pub unanswered: u64,
    /// Requests refused with 5.03 for lack of space.
    pub refused: u64,
    /// Of these, the ones that would change something and are not sent again: NONs other than GET and FETCH.
    pub lost: u64,
    /// Our own messages dropped for lack of space.
    pub dropped: u64,
    /// Requests answered with an Echo challenge.
    pub echoes: u64,
}

/// What an engine holds now. [`Settings`] bounds each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct MemoryUse {
    /// Peers whose recent messages are remembered.
    pub peers: usize,
    /// Bytes of the remembered answers.
    pub remembered_bytes: usize,
    /// Requests that wait for the owner.
    pub open_requests: usize,
    /// Request bodies being reassembled.
    pub assemblies: usize,
    pub assembly_bytes: usize,
    /// Response bodies kept for further blocks.
    pub kept_bodies: usize,
    pub kept_bytes: usize,
    pub observers: usize,
    /// Verified addresses.
    pub verified: usize,
    /// Our requests in progress.
    pub exchanges: usize,
}
