//! The link that the gateway's address names, and a time server beside it.

use std::net::SocketAddr;
use std::time::Duration;

use node_core::{Command, Delivery, Link, LinkError, sntp};
use node_lorawan::Credentials;
use tokio::net::UdpSocket;
use tokio::time::timeout;
use url::Url;

use crate::coap::CoapLink;
use crate::lorawan::{self, SimLorawan};
use crate::mqtt::MqttLink;

const TIME_SERVER_TIMEOUT: Duration = Duration::from_secs(2);
/// A lost request is nothing rare.
const TIME_SERVER_TRIES: u32 = 3;

pub(crate) struct AnyLink {
    way: Way,
    time_server: Option<String>,
}

enum Way {
    Mqtt(Box<MqttLink>),
    Coap(CoapLink),
    Lorawan(Box<SimLorawan>),
}

impl AnyLink {
    /// `credentials` are needed for LoRaWAN alone.
    pub(crate) fn new(
        gateway: &Url,
        credentials: Option<Credentials>,
        time_server: Option<String>,
    ) -> Result<Self, String> {
        let path = decoded(gateway.path().trim_start_matches('/'));
        let (host, port) = (gateway.host_str(), gateway.port());
        let has_path = !path.is_empty() || gateway.scheme() == "lorawan";
        let Some(host) = host.filter(|_| has_path) else {
            let ways = "mqtt://HOST:PORT/TOPIC, coap://HOST:PORT/PATH or lorawan://HOST:PORT";
            return Err(format!("{gateway}: write it as {ways}"));
        };
        let host = host.trim_matches(['[', ']']).to_owned();
        let way = match gateway.scheme() {
            "mqtt" => {
                let login =
                    gateway.password().map(|password| (decoded(gateway.username()), decoded(password)));
                Way::Mqtt(Box::new(MqttLink::new((host, port.unwrap_or(1883)), path, login)))
            }
            "coap" => Way::Coap(CoapLink::new((host, port.unwrap_or(5683)), path)),
            "lorawan" => {
                let credentials =
                    credentials.ok_or("lorawan needs --dev-eui, --join-eui and --app-key-file")?;
                Way::Lorawan(Box::new(lorawan::link((host, port.unwrap_or(1700)), credentials)))
            }
            other => return Err(format!("no link is called {other}; there are mqtt, coap and lorawan")),
        };
        Ok(Self { way, time_server })
    }
}

impl Link for AnyLink {
    fn mtu(&self) -> usize {
        match &self.way {
            Way::Mqtt(_) | Way::Coap(_) => 222,
            Way::Lorawan(link) => link.mtu(),
        }
    }

    async fn deliver(&mut self, frame: &[u8]) -> Result<Delivery, LinkError> {
        let delivered = match &mut self.way {
            Way::Mqtt(link) => link.deliver(frame).await,
            Way::Coap(link) => link.deliver(frame).await,
            Way::Lorawan(link) => link.deliver(frame).await,
        };
        report(frame, delivered);
        delivered
    }

    fn take_command(&mut self) -> Option<Command> {
        match &mut self.way {
            Way::Mqtt(link) => link.take_command(),
            Way::Coap(_) => None,
            Way::Lorawan(link) => link.take_command(),
        }
    }

    async fn unix_time(&mut self) -> Option<u32> {
        let server = self.time_server.clone()?;
        for _ in 0..TIME_SERVER_TRIES {
            if let Ok(Some(time)) = timeout(TIME_SERVER_TIMEOUT, ask(&server)).await {
                return Some(time);
            }
        }
        None
    }
}

/// What stands in a URL for these bytes, `%20` for a blank (RFC 3986 section 2.1).
fn decoded(part: &str) -> String {
    percent_encoding::percent_decode_str(part).decode_utf8_lossy().into_owned()
}

async fn ask(server: &str) -> Option<u32> {
    let server: SocketAddr = tokio::net::lookup_host(server).await.ok()?.next()?;
    let any: SocketAddr = if server.is_ipv4() { ([0; 4], 0).into() } else { ([0_u16; 8], 0).into() };
    let socket = UdpSocket::bind(any).await.ok()?;
    socket.connect(server).await.ok()?;
    let nonce = rand::random();
    socket.send(&sntp::request(nonce)).await.ok()?;
    let mut answer = [0; sntp::LENGTH];
    let length = socket.recv(&mut answer).await.ok()?;
    sntp::unix_time(answer.get(..length)?, nonce)
}

/// One line for each try, for people and tests.
#[expect(clippy::print_stdout, reason = "what a node does is this command's output")]
fn report(frame: &[u8], delivered: Result<Delivery, LinkError>) {
    let outcome = match delivered {
        Ok(Delivery::Acknowledged) => "acknowledged",
        Ok(Delivery::Sent) => "sent",
        Err(LinkError::Down) => "not delivered",
        Err(LinkError::Refused) => "refused",
    };
    println!("{outcome} {}", hex::encode(frame));
}
