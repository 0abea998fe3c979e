//! Commands to devices: one CoAP request each, confirmable, and what became of it.
//!
//! A command is given at most once: what CoAP repeats by itself under one message id, the device knows again. Where no
//! answer comes, nobody gives the command a second time.

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

/// Commands that may be under way; a further one is refused.
const UNDER_WAY: usize = 64;

/// Names a command while it is under way.
pub(super) type CommandId = u64;

struct UnderWay {
    request: Request,
    done: oneshot::Sender<Result<(), CommandError>>,
    peer: Option<Peer>,
}

pub(super) struct Commands {
    adapter: AdapterId,
    under_way: BTreeMap<CommandId, UnderWay>,
    last: CommandId,
}

impl Commands {
    pub(super) const fn new(adapter: AdapterId) -> Self {
        Self { adapter, under_way: BTreeMap::new(), last: 0 }
    }

    /// Takes a command whose device is now to be reached; one that cannot be given is told so.
    pub(super) fn take(&mut self, command: Command) -> Option<(CommandId, Arc<CoapUrl>)> {
        let Command { target, payload, done } = command;
        if self.under_way.len() >= UNDER_WAY {
            tell(done, Err(CommandError::Busy { adapter: self.adapter.clone() }));
            return None;
        }
        let (url, request) = match request(&target, payload) {
            Ok(it) => it,
            Err(reason) => {
                tell(done, Err(self.refused(reason)));
                return None;
            }
        };
        self.last = self.last.wrapping_add(1);
        self.under_way.insert(self.last, UnderWay { request, done, peer: None });
        Some((self.last, Arc::new(url)))
    }

    /// The device can be spoken to: asks it. The answer comes under the token.
    pub(super) fn reached(
        &mut self,
        id: CommandId,
        peer: &Peer,
        engine: &mut Engine,
        now: Instant,
    ) -> Option<Token> {
        let command = self.under_way.get_mut(&id)?;
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

    /// The device could not be asked.
    pub(super) fn unreachable(&mut self, id: CommandId, reason: String) {
        let adapter = self.adapter.clone();
        self.finish(id, Err(CommandError::Unreachable { adapter, reason }));
    }

    /// What the engine tells of the request.
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

    /// Who has been asked and has not answered.
    pub(super) fn peers(&self) -> impl Iterator<Item = &Peer> {
        self.under_way.values().filter_map(|command| command.peer.as_ref())
    }

    /// Nobody waits for answers any more.
    pub(super) fn give_up(&mut self) {
        for command in std::mem::take(&mut self.under_way).into_values() {
            let adapter = self.adapter.clone();
            tell(
                command.done,
                Err(match command.peer {
                    Some(_) => CommandError::Unanswered { adapter, reason: "Riser stops".to_owned() },
                    None => CommandError::NotConnected { adapter },
                }),
            );
        }
    }

    fn finish(&mut self, id: CommandId, result: Result<(), CommandError>) {
        if let Some(command) = self.under_way.remove(&id) {
            tell(command.done, result);
        }
    }

    fn refused(&self, reason: String) -> CommandError {
        CommandError::Refused { adapter: self.adapter.clone(), reason }
    }
}

fn request(target: &Target, payload: Bytes) -> Result<(CoapUrl, Request), String> {
    let Some(Resource { url, method, format }) = target.get() else {
        return Err(format!("{target} is no CoAP address"));
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

fn tell(done: oneshot::Sender<Result<(), CommandError>>, result: Result<(), CommandError>) {
    // Whoever gave the command may have stopped waiting.
    let _ = done.send(result);
}

#[cfg(test)]
mod tests;
