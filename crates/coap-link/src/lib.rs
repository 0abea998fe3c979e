//! A CoAP endpoint, server and client at once, in the clear and over DTLS.
//!
//! [`Engine`] speaks the protocol and touches no socket and no clock: datagrams and the time go in, datagrams and
//! events come out. It does RFC 7252 (messages, requests, multicast), 7641 (observe), 7959 (blocks), 7967
//! (No-Response) and 9175 (Echo, Request-Tag), and knows nothing of what its payloads mean.
//!
//! # How an engine is driven
//! - [`Engine::receive`] (or [`Engine::receive_multicast`]) for each datagram that came in,
//! - [`Engine::timeout`] when [`Engine::next_deadline`] has come,
//! - [`Engine::poll`] after each of these and after each call below, until it returns `None`: what to send and what
//!   happened. Nothing leaves and nothing is told in any other way.
//!
//! As a server: each [`Output::Request`] is answered by [`Engine::respond`], at once or within
//! [`Settings::answer_within`]; blocks, repeated messages and acknowledgements are not the owner's concern. What can
//! be observed is answered by [`Engine::respond_observable`], and [`Engine::notify`] tells all observers its news.
//! [`Engine::closed`] is for the end of a DTLS session.
//! As a client: [`Engine::request`] sends, [`Output::Response`] tells how it went, [`Output::Notification`] follows
//! for what is observed, [`Engine::cancel`] ends it.
//!
//! [`dtls`] is the sessions of DTLS-PSK, without sockets and clock as well.
//!
//! [`Link`] and [`link_format`] write what `/.well-known/core` answers.
//!
//! [`Endpoint`] is an engine on a socket of its own, in the clear; [`Udp`] is the sockets alone, for an owner that
//! drives an engine by itself.
//!
//! What an engine holds is bounded by its [`Settings`], whatever comes in; [`Engine::holdings`] tells how much it is.
//! [`Engine::counters`] counts what went wrong.
//!
//! ```
//! use std::time::{Duration, Instant};
//! use coap_link::{Code, ContentFormat, Engine, Method, Output, Peer, Request, Response, Settings};
//!
//! # let now = tokio::time::Instant::now().into_std();
//! let mut server = Engine::new(Settings::default());
//! let mut client = Engine::new(Settings { seed: 1, ..Settings::default() });
//! let server_peer = Peer::in_the_clear("192.0.2.1:5683".parse()?);
//! let client_peer = Peer::in_the_clear("192.0.2.2:40000".parse()?);
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
pub use engine::{Counters, Engine, Holdings, Output, RequestError, RequestFailure, RequestId};
pub use link_format::{Link, link_format};
pub use message::Token;
pub use options::ETag;
pub use peer::{Identity, Peer};
pub use request::{Observe, Request};
pub use response::Response;
pub use settings::{EXCHANGE_LIFETIME, Settings, Unverified};
pub use udp::{JoinError, Udp};
