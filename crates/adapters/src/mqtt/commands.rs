//! Publishes commands to devices at QoS 1: over a separate connection that is opened for the first command, or within the
//! process.

use std::collections::{HashMap, VecDeque};

use bytes::Bytes;
use gateway_core::AdapterId;
use gateway_core::ports::{Command, CommandError, LocalBroker, Target};
use mqtt_link::{Options, Publisher, PublisherEvent, Session, SubmitError};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::addresses::Addresses;
use super::downlink::Downlink;
use super::kind::MqttTarget;

/// The most commands that wait for the connection or for acknowledgements of earlier ones.
const QUEUE_CAPACITY: usize = 64;

type Done = oneshot::Sender<Result<(), CommandError>>;

/// Runs until stopped, or until the command channel is closed.
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
    sender.accept(first);
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            command = commands.recv() => match command {
                Some(command) => sender.accept(command),
                None => break,
            },
            event = sender.publisher.next() => match event {
                Some(event) => sender.handle_event(event),
                None => break,
            },
        }
    }
    sender.fail_all();
    sender.publisher.disconnect().await;
}

/// As [`run`], through the embedded broker, which takes a command at once.
pub(super) async fn run_local(
    adapter: &AdapterId,
    broker: &dyn LocalBroker,
    addresses: &Addresses,
    commands: &mut mpsc::Receiver<Command>,
    stop: &CancellationToken,
) {
    while let Some(Some(command)) = stop.run_until_cancelled(commands.recv()).await {
        let Command { target, payload, done } = command;
        let result = addressed(adapter, addresses, &target, payload);
        complete(done, result.map(|(topic, payload)| broker.publish(&topic, payload)));
    }
}

/// The subscriber's options with another client id and a clean session.
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
    /// The first attempt is running; commands wait for it.
    Starting,
    Up,
    /// Commands are refused until the connection is back.
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

/// A command with its topic.
struct Message {
    topic: String,
    payload: Bytes,
    done: Done,
}

impl Sender<'_> {
    fn accept(&mut self, command: Command) {
        if self.connection == Connection::Lost {
            complete(command.done, Err(CommandError::NotConnected { adapter: self.adapter.clone() }));
        } else if self.waiting.len() >= QUEUE_CAPACITY {
            complete(command.done, Err(CommandError::Busy { adapter: self.adapter.clone() }));
        } else {
            let Command { target, payload, done } = command;
            match addressed(self.adapter, self.addresses, &target, payload) {
                Ok((topic, payload)) => self.waiting.push_back(Message { topic, payload, done }),
                Err(error) => complete(done, Err(error)),
            }
            self.fill();
        }
    }

    fn handle_event(&mut self, event: PublisherEvent) {
        match event {
            PublisherEvent::Connected => self.connection = Connection::Up,
            PublisherEvent::Acked(token) => self.finish(token, Ok(())),
            PublisherEvent::Refused { token, refusal } => {
                self.finish(token, Err(refused(self.adapter, refusal.reason)));
            }
            PublisherEvent::Lost { reason } => {
                warn!(adapter = %self.adapter, "mqtt: no connection for commands: {reason}");
                self.connection = Connection::Lost;
                self.fail_all();
            }
        }
        self.fill();
    }

    /// Publishes queued commands until the window is full.
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
                Err(error) => complete(done, Err(refused(self.adapter, &error.to_string()))),
            }
        }
    }

    fn finish(&mut self, token: u64, result: Result<(), CommandError>) {
        if let Some(done) = self.in_flight.remove(&token) {
            complete(done, result);
        }
    }

    fn fail_all(&mut self) {
        let waiting = self.waiting.drain(..).map(|message| message.done);
        for done in waiting.chain(self.in_flight.drain().map(|(_, done)| done)) {
            complete(done, Err(CommandError::NotConnected { adapter: self.adapter.clone() }));
        }
    }
}

/// The topic and payload of a command.
fn addressed(
    adapter: &AdapterId,
    addresses: &Addresses,
    target: &Target,
    payload: Bytes,
) -> Result<(String, Bytes), CommandError> {
    match target.get() {
        Some(MqttTarget::Topic(topic)) => Ok((topic.clone(), payload)),
        Some(MqttTarget::Device(target)) => {
            let address = addresses.of(&target.device).ok_or_else(|| CommandError::Unreachable {
                adapter: adapter.clone(),
                reason: format!(
                    "{} has sent nothing since the start, so its topic is not known; to reach it before it \
                     sends, write the application for the + in the filter, and the server's name for the device \
                     as its address",
                    target.device
                ),
            })?;
            let downlink = Downlink { target, payload: &payload };
            downlink.message(&address).ok_or_else(|| refused(adapter, "the payload is no JSON object"))
        }
        None => Err(refused(adapter, &format!("{target} is no MQTT topic"))),
    }
}

fn refused(adapter: &AdapterId, reason: &str) -> CommandError {
    CommandError::Refused { adapter: adapter.clone(), reason: reason.to_owned() }
}

fn complete(done: Done, result: Result<(), CommandError>) {
    // Fails if the sender of the command no longer waits.
    let _ = done.send(result);
}
