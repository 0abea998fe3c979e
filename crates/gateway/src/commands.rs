//! Commands from the cloud to devices: `<prefix>/gateways/<id>/commands/<device>`, answered on `…/responses/<device>`.
//!
//! - Only keys that `[devices.*] commands` names are set, within `command_limits`.
//! - A command with an id that was seen before is not done again: it gets the answer that the first one got. The newest
//!   [`remembered::MOST_REMEMBERED`] ids are remembered, until a restart.
//! - At most [`PER_SECOND`] a second are done, with bursts of [`BURST`]; the rest is refused.
//! - A command is acknowledged to the broker once it is decided, and answered once its outcome is known. An answer that the
//!   connection loses is not sent again: whoever misses it sends the command again, with its id.

mod decide;
mod remembered;

use std::sync::Arc;
use std::time::Duration;

use adapters::RawAction;
use adapters::kind::{BuildContext, Order};
use codecs::CodecTable;
use gateway_core::ports::{Clock as _, Command, CommandError, Message, Target};
use gateway_core::topic::level;
use gateway_core::{Services, percent};
use pipeline::clock::SystemClock;
use pipeline::deliver::actions::Commanders;
use read_model::ReadModel;
use serde::Serialize;
use sinks::upstream::CloudCommand;
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

use bytes::Bytes;
use decide::{Decided, decide};
use gateway_config::Config;
use remembered::{Remembered, Seen};

use crate::upstream::UpstreamHandle;

const PER_SECOND: u32 = 20;
const BURST: u32 = 50;
/// Commands that wait to be looked at; more are refused.
pub(crate) const MOST_WAITING: usize = 256;
/// How long a command may take.
const LONGEST: Duration = Duration::from_secs(60);

/// What became of a command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Response {
    /// None where the command has none that can be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    status: Status,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Status {
    Done,
    Failed,
    Refused,
    Expired,
}

impl Response {
    fn refused(id: Option<String>, reason: impl Into<String>) -> Self {
        Self { id, status: Status::Refused, reason: Some(reason.into()) }
    }
}

/// Takes commands until it is stopped.
pub(crate) struct CloudCommands {
    pub(crate) received: mpsc::Receiver<CloudCommand>,
    /// The configuration in force.
    pub(crate) config: watch::Receiver<Arc<Config>>,
    pub(crate) services: Services,
    pub(crate) commanders: Commanders,
    pub(crate) read_model: ReadModel,
    pub(crate) upstream: UpstreamHandle,
    /// `building/gateways/hq/responses/`.
    pub(crate) responses: String,
}

impl CloudCommands {
    pub(crate) async fn run(mut self, stop: CancellationToken) {
        let mut remembered = Remembered::default();
        let mut bucket = Bucket::new();
        let (finished, mut outcomes) = mpsc::channel::<(String, Response)>(MOST_WAITING);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                Some((device, response)) = outcomes.recv() => {
                    remembered.finish(&device, &response);
                    self.answer(&device, &response);
                }
                command = self.received.recv() => match command {
                    Some(command) => self.take(command, &mut remembered, &mut bucket, &finished),
                    None => return,
                },
            }
        }
    }

    fn take(
        &self,
        command: CloudCommand,
        remembered: &mut Remembered,
        bucket: &mut Bucket,
        finished: &mpsc::Sender<(String, Response)>,
    ) {
        let CloudCommand { device, payload, ack } = command;
        let device = percent::decode(&device).unwrap_or(device);
        let config = Arc::clone(&self.config.borrow());
        match decide(&config, &device, &payload, SystemClock.now()) {
            Err(response) => self.answer(&device, &response),
            Ok(Decided { id, values }) => match remembered.begin(&device, &id) {
                Seen::Answered(response) => self.answer(&device, &response),
                Seen::UnderWay => {}
                Seen::New if !bucket.take() => {
                    remembered.forget(&device, &id);
                    let reason = format!("too many commands: at most {PER_SECOND} a second are done");
                    self.answer(&device, &Response::refused(Some(id), reason));
                }
                Seen::New => {
                    let work = Work {
                        config,
                        services: self.services.clone(),
                        commanders: Arc::clone(&self.commanders),
                        protocol: self.read_model.device(&device).and_then(|known| known.protocol.clone()),
                    };
                    let finished = finished.clone();
                    tokio::spawn(async move {
                        let (status, reason) = match tokio::time::timeout(LONGEST, work.send(&device, values))
                            .await
                        {
                            Ok(Ok(())) => (Status::Done, None),
                            Ok(Err((status, reason))) => (status, Some(reason)),
                            Err(_) => {
                                (Status::Failed, Some(format!("no answer within {} s", LONGEST.as_secs())))
                            }
                        };
                        let response = Response { id: Some(id), status, reason };
                        // Gone only where the gateway stops.
                        let _ = finished.send((device, response)).await;
                    });
                }
            },
        }
        ack.send();
    }

    fn answer(&self, device: &str, response: &Response) {
        let Response { id, status, reason } = response;
        let (id, reason) = (id.as_deref().unwrap_or("-"), reason.as_deref().unwrap_or(""));
        tracing::info!(device, id, ?status, reason, "command from the cloud");
        let topic = format!("{}{}", self.responses, level(device));
        self.upstream.publish_response(topic, serde_json::to_vec(response).unwrap_or_default().into());
    }
}

/// What a command needs to be sent.
struct Work {
    config: Arc<Config>,
    services: Services,
    commanders: Commanders,
    /// The kind of the adapter that the device was heard by last.
    protocol: Option<Arc<str>>,
}

type Values = serde_json::Map<String, serde_json::Value>;
type Failure = (Status, String);

impl Work {
    /// Sends each message; the first that fails ends it.
    async fn send(self, device: &str, values: Values) -> Result<(), Failure> {
        let Self { config, services, commanders, protocol } = self;
        let name = device.to_owned();
        // Codecs are compiled and run there.
        let messages = tokio::task::spawn_blocking(move || {
            messages(&config, &services, protocol.as_deref(), &name, &values)
        });
        let messages = messages.await.map_err(|error| (Status::Failed, error.to_string()))?;
        for (adapter, target, payload) in messages.map_err(|reason| (Status::Refused, reason))? {
            let commands = {
                let commanders = commanders.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                commanders
                    .get(&adapter)
                    .map(|commander| (commander.commands.clone(), commander.condition.clone()))
            };
            let Some((commands, condition)) = commands else {
                return Err((Status::Failed, format!("{adapter} does not run")));
            };
            let (done, result) = oneshot::channel();
            if commands.try_send(Command { target, payload, done }).is_err() {
                return Err((Status::Failed, format!("{adapter} has too many commands waiting")));
            }
            let result = result.await;
            condition.commanded(matches!(result, Ok(Ok(()))));
            match result {
                Ok(Ok(())) => {}
                Ok(Err(error @ CommandError::Refused { .. })) => {
                    return Err((Status::Refused, error.to_string()));
                }
                Ok(Err(error)) => return Err((Status::Failed, error.to_string())),
                Err(_) => return Err((Status::Failed, format!("{adapter} stopped"))),
            }
        }
        Ok(())
    }
}

/// With the first adapter that can carry the command; those of the kind that the device was heard by last come first.
fn messages(
    config: &Config,
    services: &Services,
    protocol: Option<&str>,
    device: &str,
    values: &Values,
) -> Result<Vec<(String, Target, Bytes)>, String> {
    let id = config.gateway.id();
    let site = config.site(&id, SystemClock.now());
    let mut codecs = CodecTable::default();
    let mut context = BuildContext { site: &site, codecs: &mut codecs, services };
    let address = config.devices.get(device).and_then(|table| table.address.as_deref()).unwrap_or(device);
    let order = Order { device, address, values };
    let mut kinds: Vec<_> = config.adapters.kinds().collect();
    kinds.sort_by_key(|kind| Some(kind.kind()) != protocol);
    let mut why = Vec::new();
    for kind in kinds {
        for (adapter, parts) in kind.command(&order) {
            let made = parts.and_then(|parts| {
                let make = |part: &adapters::kind::OrderMessage| {
                    let action = RawAction { adapter: &adapter, payload: &part.payload, keys: &part.keys };
                    let message =
                        kind.message(action, &mut context).map_err(|error| gateway_core::chain(&error))?;
                    let (target, payload) = match message.ok_or("the device is not one that it can reach")? {
                        Message::Ready { target, payload } => (target, payload),
                        Message::Prepared(prepare) => prepare.prepare()?,
                    };
                    Ok((adapter.clone(), target, payload))
                };
                parts.iter().map(make).collect::<Result<Vec<_>, String>>()
            });
            match made {
                Ok(messages) => return Ok(messages),
                Err(reason) => why.push(format!("{adapter}: {reason}")),
            }
        }
    }
    if why.is_empty() { Err("there is no adapter".to_owned()) } else { Err(why.join("; ")) }
}

/// A token bucket.
struct Bucket {
    tokens: f64,
    filled: tokio::time::Instant,
}

impl Bucket {
    fn new() -> Self {
        Self { tokens: f64::from(BURST), filled: tokio::time::Instant::now() }
    }

    fn take(&mut self) -> bool {
        let now = tokio::time::Instant::now();
        let more = now.duration_since(self.filled).as_secs_f64() * f64::from(PER_SECOND);
        (self.tokens, self.filled) = ((self.tokens + more).min(f64::from(BURST)), now);
        let is_enough = self.tokens >= 1.0;
        self.tokens -= f64::from(u8::from(is_enough));
        is_enough
    }
}
