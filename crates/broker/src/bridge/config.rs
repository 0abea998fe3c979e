//! `[broker.bridges.*]`.

use std::path::PathBuf;

use gateway_core::settings::{ByteSize, HumanDuration, Secret};
use mqtt_link::Protocol;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A bridge to another broker: messages go there and come from there at QoS 1, under the same topics or others.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "BrokerBridge")]
pub struct Bridge {
    /// The other broker: `mqtt://`, `mqtts://`, `ws://` or `wss://`, host and port.
    #[schemars(example = "mqtts://campus.example.com:8883")]
    pub url: String,
    /// The version of MQTT. With 3.1.1 the other broker cannot be told to keep back what the bridge itself published.
    pub protocol: Protocol,
    /// The client id at the other broker. Default: `riser-<gateway id>-<name of this table>`.
    #[schemars(example = "riser-hq-north-campus")]
    pub client_id: Option<String>,
    /// The user name, if the other broker requires one.
    #[schemars(example = "hq-north")]
    pub username: Option<String>,
    /// The password; better in a separate file, in `password_file`.
    #[schemars(example = &"secret")]
    pub password: Option<Secret>,
    /// A file with the password; its last newline is cut. Relative to this file's directory.
    #[schemars(example = "campus.password")]
    pub password_file: Option<PathBuf>,
    /// Certificates (PEM) for verifying the other broker's. Default: the machine's.
    #[schemars(example = "ca.pem")]
    pub ca_file: Option<PathBuf>,
    /// Riser's certificate (PEM), for a broker that requires one; needs `key_file`.
    #[schemars(example = "client.pem")]
    pub cert_file: Option<PathBuf>,
    /// The private key (PEM) of `cert_file`.
    #[schemars(example = "client.key")]
    pub key_file: Option<PathBuf>,
    /// The interval of pings, so that a dead connection is detected.
    pub keep_alive: HumanDuration,
    /// The most bytes of messages that wait for the other broker, on the disk and in memory, within `max_memory`. Then the
    /// oldest ones are dropped.
    pub max_queue_size: ByteSize,
    /// What is exchanged. Of several entries that match a topic, the first counts.
    #[schemars(example = example_topics())]
    pub topics: Vec<BridgeTopic>,
}

fn example_topics() -> [BridgeTopic; 1] {
    let text = str::to_owned;
    let (filter, remote_prefix) = (text("sensors/#"), text("hq-north/"));
    [BridgeTopic { filter, remote_prefix, ..BridgeTopic::default() }]
}

impl Default for Bridge {
    fn default() -> Self {
        Self {
            url: String::new(),
            protocol: Protocol::default(),
            client_id: None,
            username: None,
            password: None,
            password_file: None,
            ca_file: None,
            cert_file: None,
            key_file: None,
            keep_alive: HumanDuration::from_secs(30),
            max_queue_size: ByteSize(16 << 20),
            topics: Vec::new(),
        }
    }
}

/// Topics of a bridge: `local_prefix` and `filter` here are `remote_prefix` and `filter` at the other broker.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct BridgeTopic {
    /// An MQTT topic filter, without the prefixes. Empty: the prefixes are whole topics.
    #[schemars(example = "sensors/#")]
    pub filter: String,
    /// Which way messages go.
    pub direction: Direction,
    /// What topics begin with here, and not there.
    #[schemars(example = "")]
    pub local_prefix: String,
    /// What topics begin with there, and not here.
    #[schemars(example = "hq-north/")]
    pub remote_prefix: String,
}

/// Which way messages go over a bridge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// From this broker to the other one.
    #[default]
    Out,
    /// From the other broker to this one.
    In,
    /// Both ways.
    Both,
}
