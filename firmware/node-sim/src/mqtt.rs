//! MQTT over TCP.

use std::time::Duration;

use embedded_io_adapters::tokio_1::FromTokio;
use node_core::{Command, Delivery, LinkError};
use node_mqtt::{Account, Commands};
use tokio::net::TcpStream;
use tokio::time::timeout;

const TIMEOUT: Duration = Duration::from_secs(10);

pub(crate) struct MqttLink {
    broker: (String, u16),
    topic: String,
    command_topic: String,
    client_id: String,
    login: Option<(String, String)>,
    commands: Commands,
}

impl MqttLink {
    pub(crate) fn new(broker: (String, u16), topic: String, login: Option<(String, String)>) -> Self {
        let client_id = format!("node-{}", topic.replace('/', "-"));
        Self {
            broker,
            command_topic: format!("{topic}/command"),
            topic,
            client_id,
            login,
            commands: Commands::new(),
        }
    }

    pub(crate) async fn deliver(&mut self, frame: &[u8]) -> Result<Delivery, LinkError> {
        let account = Account {
            client_id: &self.client_id,
            topic: &self.topic,
            command_topic: &self.command_topic,
            login: self.login.as_ref().map(|(user, password)| (user.as_str(), password.as_bytes())),
        };
        let delivered = async {
            let stream = TcpStream::connect((self.broker.0.as_str(), self.broker.1)).await;
            let stream = stream.map_err(|_| LinkError::Down)?;
            node_mqtt::deliver(FromTokio::new(stream), &account, frame, &mut self.commands).await
        };
        timeout(TIMEOUT, delivered).await.unwrap_or(Err(LinkError::Down))
    }

    pub(crate) fn take_command(&mut self) -> Option<Command> {
        self.commands.pop_front()
    }
}
