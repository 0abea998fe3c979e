//! Commands to devices: sends one confirmable CoAP request for each, and reports its result.
//!
//! A command is sent at most once. CoAP repeats a message under the same message id, so the device recognises it. If no
//! answer comes, the command is not sent again.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use coap_link::{ContentFormat, Engine, Method, Peer, Request, RequestFailure, Response, Token};
use gateway_core::AdapterId;
use gateway_core::ports::{Command, CommandError, Target};
use tokio::sync::oneshot;

use super::observed::refusal;
use super::url::CoapUrl;
use crate::coap::kind::{CommandFormat, CommandMethod, Resource};

/// The most commands in flight; a further one is refused.
const MAX_IN_FLIGHT: usize = 64;

/// Identifies a command in flight.
pub(super) type CommandId = u64;

struct InFlight {
    request: Request,
    done: oneshot::Sender<Result<(), CommandError>>,
    peer: Option<Peer>,
}

pub(super) struct Commands {
    adapter: AdapterId,
    in_flight: BTreeMap<CommandId, InFlight>,
    last: CommandId,
}

impl Commands {
    pub(super) const fn new(adapter: AdapterId) -> Self {
        Self { adapter, in_flight: BTreeMap::new(), last: 0 }
    }

    /// Accepts a command and returns the URL to connect to, or completes it with an error.
    pub(super) fn accept(&mut self, command: Command) -> Option<(CommandId, Arc<CoapUrl>)> {
        let Command { target, payload, done } = command;
        if self.in_flight.len() >= MAX_IN_FLIGHT {
            complete(done, Err(CommandError::Busy { adapter: self.adapter.clone() }));
            return None;
        }
        let (url, request) = match request(&target, payload) {
            Ok(it) => it,
            Err(reason) => {
                complete(done, Err(self.refused(reason)));
                return None;
            }
        };
        self.last = self.last.wrapping_add(1);
        self.in_flight.insert(self.last, InFlight { request, done, peer: None });
        Some((self.last, Arc::new(url)))
    }

    /// Sends the request to the connected device. The answer has the returned token.
    pub(super) fn connected(
        &mut self,
        id: CommandId,
        peer: &Peer,
        engine: &mut Engine,
        now: Instant,
    ) -> Option<Token> {
        let command = self.in_flight.get_mut(&id)?;
        match engine.request(peer, command.request.clone(), now) {
            Ok(token) => {
                command.peer = Some(peer.clone());
                Some(token)
            }
            Err(error) => {
                self.unreachable(id, error.to_string());
                None
            }
        }
    }

    /// The connection to the device failed.
    pub(super) fn unreachable(&mut self, id: CommandId, reason: String) {
        let adapter = self.adapter.clone();
        self.finish(id, Err(CommandError::Unreachable { adapter, reason }));
    }

    /// Takes the result of the request from the engine.
    pub(super) fn answered(&mut self, id: CommandId, result: Result<Response, RequestFailure>) {
        let adapter = self.adapter.clone();
        let result = match result {
            Ok(response) if response.code.is_success() => Ok(()),
            Ok(response) => Err(self.refused(refusal(response.code, &response.payload))),
            Err(RequestFailure::Reset) => Err(self.refused(RequestFailure::Reset.to_string())),
            Err(failure) => Err(CommandError::Unanswered { adapter, reason: failure.to_string() }),
        };
        self.finish(id, result);
    }

    /// The devices that have not answered yet.
    pub(super) fn peers(&self) -> impl Iterator<Item = &Peer> {
        self.in_flight.values().filter_map(|command| command.peer.as_ref())
    }

    /// Completes all commands with an error.
    pub(super) fn cancel_all(&mut self) {
        for command in std::mem::take(&mut self.in_flight).into_values() {
            let adapter = self.adapter.clone();
            complete(
                command.done,
                Err(match command.peer {
                    Some(_) => CommandError::Unanswered { adapter, reason: "Riser stops".to_owned() },
                    None => CommandError::NotConnected { adapter },
                }),
            );
        }
    }

    fn finish(&mut self, id: CommandId, result: Result<(), CommandError>) {
        if let Some(command) = self.in_flight.remove(&id) {
            complete(command.done, result);
        }
    }

    fn refused(&self, reason: String) -> CommandError {
        CommandError::Refused { adapter: self.adapter.clone(), reason }
    }
}

fn request(target: &Target, payload: Bytes) -> Result<(CoapUrl, Request), String> {
    let Some(Resource { url, method, format }) = target.get() else {
        return Err(format!("{target} is not a CoAP address"));
    };
    let url: CoapUrl = url.parse().map_err(|error| format!("{url} {error}"))?;
    let method = match method {
        CommandMethod::Put => Method::Put,
        CommandMethod::Post => Method::Post,
    };
    let format = match format {
        CommandFormat::Text => ContentFormat::TEXT,
        CommandFormat::Json => ContentFormat::JSON,
    };
    let request = Request {
        path: url.path().to_vec(),
        query: url.query().to_vec(),
        host: url.host_name().map(String::from),
        ..Request::new(method, "").with_payload(format, payload)
    };
    Ok((url, request))
}

fn complete(done: oneshot::Sender<Result<(), CommandError>>, result: Result<(), CommandError>) {
    // Fails if the sender of the command no longer waits.
    let _ = done.send(result);
}

#[cfg(test)]
mod tests;
