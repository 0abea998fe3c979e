//! A CoAP endpoint, server and client, with and without DTLS.
//!
//! [`Engine`] implements the protocol without sockets and clock: it takes datagrams and the time, and returns datagrams and
//! events. It implements RFC 7252 (messages, requests, multicast), 7641 (observe), 7959 (block-wise transfer), 7967
//! (No-Response) and 9175 (Echo, Request-Tag). It does not interpret payloads.
//!
//! # How to drive an engine
//! - Call [`Engine::receive`] (or [`Engine::receive_multicast`]) for each received datagram.
//! - Call [`Engine::timeout`] at [`Engine::next_deadline`].
//! - Call [`Engine::poll`] after each of these calls and after each call below, until it returns `None`. It returns the
//!   datagrams to send and the events.
//!
//! As a server: answer each [`Output::Request`] with [`Engine::respond`], at once or within [`Settings::answer_within`]. The
//! engine handles blocks, duplicates and acknowledgements. Answer a request for an observable resource with
//! [`Engine::respond_observable`]; [`Engine::notify`] then sends a new state to all observers. Call [`Engine::closed`] when a
//! DTLS session ends.
//! As a client: [`Engine::request`] sends a request, [`Output::Response`] returns its result, [`Output::Notification`]
//! follows for an observed resource, [`Engine::cancel`] ends the observation.
//!
//! [`dtls`] implements DTLS-PSK sessions, also without sockets and clock.
//!
//! [`Link`] and [`link_format`] build the answer to `/.well-known/core`.
//!
//! [`Endpoint`] is an engine on its own socket, without DTLS. [`Udp`] is the sockets alone, for an owner that drives an
//! engine itself.
//!
//! The memory of an engine is bounded by its [`Settings`] for any input; [`Engine::memory_use`] reports it.
//! [`Engine::counters`] counts errors.
//!
//! ```
//! use std::time::{Duration, Instant};
//! use coap_link::{Code, ContentFormat, Engine, Method, Output, Peer, Request, Response, Settings};
//!
//! # let now = tokio::time::Instant::now().into_std();
//! let mut server = Engine::new(Settings::default());
//! let mut client = Engine::new(Settings { seed: 1, ..Settings::default() });
//! let server_peer = Peer::unsecured("192.0.2.1:5683".parse()?);
//! let client_peer = Peer::unsecured("192.0.2.2:40000".parse()?);
//!
//! client.request(&server_peer, Request::new(Method::Get, "/temperature"), now)?;
//! let Some(Output::Send { bytes, .. }) = client.poll() else { panic!("a request leaves") };
//!
//! server.receive(&client_peer, &bytes, now);
//! let Some(Output::Request { id, request, .. }) = server.poll() else { panic!("the owner is asked") };
//! assert_eq!(request.path, ["temperature"]);
//! server.respond_observable(id, "temperature", Response::content(ContentFormat::TEXT, "21.5"), now);
//! let Some(Output::Send { bytes, .. }) = server.poll() else { panic!("an answer leaves") };
//!
//! client.receive(&server_peer, &bytes, now);
//! let Some(Output::Response { result: Ok(response), .. }) = client.poll() else { panic!("it arrives") };
//! assert_eq!((response.code, &response.payload[..]), (Code::CONTENT, &b"21.5"[..]));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod block;
mod code;
mod deadlines;
pub mod dtls;
mod endpoint;
mod engine;
mod interfaces;
mod link_format;
mod message;
mod options;
mod peer;
mod request;
mod response;
mod settings;
mod udp;

pub use block::BlockSize;
pub use code::{Code, ContentFormat, Method};
pub use endpoint::Endpoint;
pub use engine::{Counters, Engine, MemoryUse, Output, RequestError, RequestFailure, RequestId};
pub use link_format::{Link, link_format};
pub use message::Token;
pub use options::ETag;
pub use peer::{Identity, Peer};
pub use request::{Observe, Request};
pub use response::Response;
pub use settings::{EXCHANGE_LIFETIME, Settings, Unverified};
pub use udp::{JoinError, Udp};
