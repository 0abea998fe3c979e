//! Commands to devices: published at QoS 1 over a connection of their own, which is made when the first one comes.

use std::collections::{HashMap, VecDeque};

use bytes::Bytes;
use gateway_core::AdapterId;
use gateway_core::ports::{Command, CommandError, Target};
use mqtt_link::{Options, Publisher, PublisherEvent, Session, SubmitError};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::addresses::Addresses;
use super::downlink::Downlink;
use super::kind::MqttTarget;

/// Commands that may wait for the connection, or for the broker to acknowledge earlier ones.
const WAITING: usize = 64;

type Done = oneshot::Sender<Result<(), CommandError>>;

/// Until stopped, or until nobody can send commands any more.
pub(super) async fn run(
    adapter: &AdapterId,
    link: &Options,
    addresses: &Addresses,
    commands: &mut mpsc::Receiver<Command>,
    stop: &CancellationToken,
) {
    let Some(Some(first)) = stop.run_until_cancelled(commands.recv()).await else { return };
    let mut sender = Sender {
        adapter,
        addresses,
        publisher: Publisher::start(options(link)),
        connection: Connection::Starting,
        waiting: VecDeque::new(),
        in_flight: HashMap::new(),
        next_token: 0,
    };
    sender.take(first);
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            command = commands.recv() => match command {
                Some(command) => sender.take(command),
                None => break,
            },
            event = sender.publisher.next() => match event {
                Some(event) => sender.hear(event),
                None => break,
            },
        }
    }
    sender.fail_all();
    sender.publisher.disconnect().await;
}

/// As the subscriber's, under a name of its own and with nothing to be remembered.
fn options(link: &Options) -> Options {
    Options {
        client_id: format!("{}-commands", link.client_id),
        session: Session::Clean,
        last_will: None,
        ..link.clone()
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Connection {
    /// The first attempt is under way: commands wait for it.
    Starting,
    Up,
    /// Commands are refused until it is back.
    Lost,
}

struct Sender<'a> {
    adapter: &'a AdapterId,
    addresses: &'a Addresses,
    publisher: Publisher,
    connection: Connection,
    waiting: VecDeque<Message>,
    in_flight: HashMap<u64, Done>,
    next_token: u64,
}

/// A command that has its topic.
struct Message {
    topic: String,
    payload: Bytes,
    done: Done,
}

impl Sender<'_> {
    fn take(&mut self, command: Command) {
        if self.connection == Connection::Lost {
            tell(command.done, Err(CommandError::NotConnected { adapter: self.adapter.clone() }));
        } else if self.waiting.len() >= WAITING {
            tell(command.done, Err(CommandError::Busy { adapter: self.adapter.clone() }));
        } else {
            let Command { target, payload, done } = command;
            match self.addressed(&target, payload) {
                Ok((topic, payload)) => self.waiting.push_back(Message { topic, payload, done }),
                Err(error) => tell(done, Err(error)),
            }
            self.fill();
        }
    }

    /// The topic, and what is published there.
    fn addressed(&self, target: &Target, payload: Bytes) -> Result<(String, Bytes), CommandError> {
        match target.get() {
            Some(MqttTarget::Topic(topic)) => Ok((topic.clone(), payload)),
            Some(MqttTarget::Device(target)) => {
                let address = self.addresses.of(&target.device).ok_or_else(|| CommandError::Unreachable {
                    adapter: self.adapter.clone(),
                    reason: format!(
                        "{} has sent nothing since the start, so its topic is not known; to reach it before it \
                         sends, write the application for the + in the filter, and the server's name for the device \
                         as its address",
                        target.device
                    ),
                })?;
                let downlink = Downlink { target, payload: &payload };
                downlink.message(&address).ok_or_else(|| self.refused("the payload is no JSON object"))
            }
            None => Err(self.refused(&format!("{target} is no MQTT topic"))),
        }
    }

    fn hear(&mut self, event: PublisherEvent) {
        match event {
            PublisherEvent::Connected => self.connection = Connection::Up,
            PublisherEvent::Acked(token) => self.finish(token, Ok(())),
            PublisherEvent::Refused { token, refusal } => {
                self.finish(token, Err(self.refused(refusal.reason)));
            }
            PublisherEvent::Lost { reason } => {
                warn!(adapter = %self.adapter, "mqtt: no connection for commands: {reason}");
                self.connection = Connection::Lost;
                self.fail_all();
            }
        }
        self.fill();
    }

    /// Submits what waits, as far as the broker takes it.
    fn fill(&mut self) {
        while self.connection == Connection::Up {
            let Some(Message { topic, payload, done }) = self.waiting.pop_front() else { return };
            let token = self.next_token;
            match self.publisher.try_publish(token, &topic, payload.clone(), false) {
                Ok(()) => {
                    self.next_token = token.wrapping_add(1);
                    self.in_flight.insert(token, done);
                }
                Err(SubmitError::WindowFull | SubmitError::NotConnected) => {
                    return self.waiting.push_front(Message { topic, payload, done });
                }
                Err(error) => tell(done, Err(self.refused(&error.to_string()))),
            }
        }
    }

    fn finish(&mut self, token: u64, result: Result<(), CommandError>) {
        if let Some(done) = self.in_flight.remove(&token) {
            tell(done, result);
        }
    }

    fn refused(&self, reason: &str) -> CommandError {
        CommandError::Refused { adapter: self.adapter.clone(), reason: reason.to_owned() }
    }

    fn fail_all(&mut self) {
        let waiting = self.waiting.drain(..).map(|message| message.done);
        for done in waiting.chain(self.in_flight.drain().map(|(_, done)| done)) {
            tell(done, Err(CommandError::NotConnected { adapter: self.adapter.clone() }));
        }
    }
}

fn tell(done: Done, result: Result<(), CommandError>) {
    // Whoever gave the command may have stopped waiting.
    let _ = done.send(result);
}
