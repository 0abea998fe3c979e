//! What an engine says: datagrams, events, and how much it did and holds.

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

/// What an [`Engine`] has to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// Send this datagram.
    Send {
        /// To whom.
        peer: Peer,
        /// The datagram.
        bytes: Bytes,
    },
    /// Someone asks; answer with [`Engine::respond`].
    Request {
        /// What the answer refers to.
        id: RequestId,
        /// Who asks.
        peer: Peer,
        /// What is asked.
        request: Request,
        /// A hash of its (last) message: the same when the peer sends that again, also to a later engine.
        fingerprint: u64,
        /// It came to a group: answer only if there is something useful to say.
        multicast: bool,
    },
    /// How a request of our own went: once for each, unless it is cancelled. For an observation a second one, with
    /// `observing: false`, says that it is over.
    Response {
        /// What [`Engine::request`] returned.
        token: Token,
        /// Who was asked.
        peer: Peer,
        /// The answer, which can be an error code, or why there is none.
        result: Result<Response, RequestFailure>,
        /// Notifications follow.
        observing: bool,
    },
    /// What is observed has changed.
    Notification {
        /// What [`Engine::request`] returned.
        token: Token,
        /// Who says so.
        peer: Peer,
        /// The new state.
        response: Response,
    },
    /// An observer is gone: it said so, or it does not answer.
    ObserverGone {
        /// Who it was.
        peer: Peer,
        /// What it observed.
        resource: String,
    },
}

/// What happened since the engine began, each a count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counters {
    /// Datagrams that are no CoAP or break its format.
    pub malformed: u64,
    /// Messages that came again.
    pub duplicates: u64,
    /// CONs that were sent again.
    pub retransmitted: u64,
    /// CONs that were given up.
    pub timed_out: u64,
    /// Requests that the owner did not answer in time.
    pub unanswered: u64,
    /// Requests for which there was no room: they got 5.03.
    pub refused: u64,
    /// Those of them that were to change something and that nobody sends again: NONs other than GET and FETCH.
    pub lost: u64,
    /// Messages of our own for which there was no room.
    pub dropped: u64,
    /// Requests whose address was asked to prove itself.
    pub echoes: u64,
}

/// How much an engine holds now, each bounded by [`Settings`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Holdings {
    /// Peers whose last messages are remembered.
    pub peers: usize,
    /// Bytes of the answers to those messages.
    pub remembered_bytes: usize,
    /// Requests that wait for the owner.
    pub open_requests: usize,
    /// Request bodies that are being put together.
    pub assemblies: usize,
    /// Their bytes.
    pub assembly_bytes: usize,
    /// Response bodies kept for further blocks.
    pub kept_bodies: usize,
    /// Their bytes.
    pub kept_bytes: usize,
    /// Observers.
    pub observers: usize,
    /// Addresses that are known to hear us.
    pub verified: usize,
    /// Requests of our own.
    pub exchanges: usize,
}
