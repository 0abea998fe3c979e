//! A node's delivery over MQTT 5: one short connection, in which the frame is published with QoS 1 and commands are taken.
//!
//! The broker keeps the session between two deliveries, and so the commands that were published meanwhile. Guarantees: a frame is
//! acknowledged only by its PUBACK, and only if somebody has subscribed; the broker never sends more than fits the buffer; a command that came is kept although the
//! delivery fails. Time limits are the caller's, who also opens the connection.

#![no_std]
#![allow(async_fn_in_trait, reason = "a node has one thread: its futures need not be Send")]

use core::num::NonZero;

use heapless::Deque;
use node_core::{Command, Delivery, LinkError};
use rust_mqtt::Bytes;
use rust_mqtt::buffer::BumpBuffer;
use rust_mqtt::client::event::Event;
use rust_mqtt::client::options::{
    ConnectOptions, DisconnectOptions, PublicationOptions, RetainHandling, SubscriptionOptions,
    TopicReference,
};
use rust_mqtt::client::{Client, MqttError};
use rust_mqtt::config::{KeepAlive, SessionExpiryInterval};
pub use rust_mqtt::io::Transport;
use rust_mqtt::types::{MqttBinary, MqttString, ReasonCode, TopicFilter, TopicName};

/// How many commands wait for the node; later ones are dropped.
const MAX_COMMANDS: usize = 4;
/// The longest packet that the broker may send. A command and its topic fit.
const MAX_PACKET: NonZero<u32> = NonZero::new(256).unwrap();
/// What all packets of one delivery may take: those of the connection, and [`MAX_COMMANDS`] commands.
const BUFFER: usize = 2048;
/// How long the broker keeps the session of a node that is away, in seconds: a week.
const SESSION_EXPIRY: NonZero<u32> = NonZero::new(7 * 24 * 3600).unwrap();
/// In seconds; a delivery is shorter.
const KEEP_ALIVE: NonZero<u16> = NonZero::new(120).unwrap();

/// How a node is known to its broker.
#[derive(Debug, Clone, Copy)]
pub struct Account<'a> {
    /// Unique at the broker, and always the same: the session belongs to it.
    pub client_id: &'a str,
    /// Where frames are published, for example `nodes/attic`.
    pub topic: &'a str,
    /// Where commands come from, for example `nodes/attic/command`.
    pub command_topic: &'a str,
    /// User name and password, if the broker wants them.
    pub login: Option<(&'a str, &'a [u8])>,
}

/// The commands that came with deliveries.
pub type Commands = Deque<Command, MAX_COMMANDS>;

type Connection<'c, N> = Client<'c, 'c, N, BumpBuffer<'c>, 1, 1, 1, 0, 0, 0, 0>;

/// Connects over an open transport, subscribes to the commands, publishes `frame`, and ends when the broker has acknowledged it.
///
/// # Errors
/// [`LinkError::Down`] if the connection breaks or the broker refuses the login, [`LinkError::Refused`] if it refuses the frame.
pub async fn deliver<N: Transport>(
    transport: N,
    account: &Account<'_>,
    frame: &[u8],
    commands: &mut Commands,
) -> Result<Delivery, LinkError> {
    let mut memory = [0; BUFFER];
    let mut buffer = BumpBuffer::new(&mut memory);
    let mut client = Connection::new(&mut buffer);
    let down = |_: MqttError<'_, 0>| LinkError::Down;

    client
        .connect(transport, &connect_options(account)?, Some(text(account.client_id)?))
        .await
        .map_err(down)?;
    // The broker may have lost the session: the subscription is made each time.
    let commands_of = TopicFilter::new(text(account.command_topic)?).ok_or(LinkError::Down)?;
    // A retained command would come again at every delivery: a node told so to restart would do nothing else.
    let options = SubscriptionOptions::new().at_least_once().retain_handling(RetainHandling::NeverSend);
    client.subscribe(commands_of, &options).await.map_err(down)?;
    let topic = TopicReference::Name(TopicName::new(text(account.topic)?).ok_or(LinkError::Down)?);
    client
        .publish(&PublicationOptions::new(topic).at_least_once(), Bytes::from(frame))
        .await
        .map_err(down)?;

    let (mut is_subscribed, mut published) = (false, None);
    while !is_subscribed || published.is_none() {
        match client.poll().await.map_err(down)? {
            Event::Suback(_) => is_subscribed = true,
            // The broker has it, but keeps it for nobody: the gateway has not subscribed yet.
            Event::PublishAcknowledged(ack) if ack.reason_code == ReasonCode::NoMatchingSubscribers => {
                published = Some(Err(LinkError::Down));
            }
            Event::PublishAcknowledged(_) => published = Some(Ok(Delivery::Acknowledged)),
            Event::PublishRejected(_) => published = Some(Err(LinkError::Refused)),
            Event::Publish(message) => keep(&message.message, commands),
            _ => {}
        }
    }
    // The broker has what it must have; that it also hears a farewell is not needed.
    let _ = client.disconnect(&DisconnectOptions::new()).await;
    published.unwrap_or(Err(LinkError::Down))
}

fn connect_options<'a>(account: &Account<'a>) -> Result<ConnectOptions<'a>, LinkError> {
    let options = ConnectOptions::new()
        .keep_alive(KeepAlive::Seconds(KEEP_ALIVE))
        .session_expiry_interval(SessionExpiryInterval::Seconds(SESSION_EXPIRY))
        .maximum_packet_size(MAX_PACKET);
    let Some((user, password)) = account.login else { return Ok(options) };
    let password = MqttBinary::try_from(password).map_err(|_| LinkError::Down)?;
    Ok(options.user_name(text(user)?).password(password))
}

fn text(text: &str) -> Result<MqttString<'_>, LinkError> {
    MqttString::try_from(text).map_err(|_| LinkError::Down)
}

/// A command that is too long is none.
fn keep(message: &[u8], commands: &mut Commands) {
    if let Ok(command) = Command::from_slice(message) {
        let _ = commands.push_back(command);
    }
}
