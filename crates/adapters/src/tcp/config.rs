//! `[adapters.tcp.*]`.

use std::net::SocketAddr;

use gateway_core::settings::{ByteSize, HumanDuration, ListenAddress};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::lines::{DEFAULT_MAX_LINE, LineFormat};

/// Devices that connect over TCP without encryption and send one reading per line. See docs/serial-and-tcp.md.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "TcpAdapter")]
pub struct TcpConfig {
    /// The address and port that devices connect to.
    #[schemars(with = "ListenAddress", example = "0.0.0.0:8080")]
    pub listen: SocketAddr,
    /// The format of each line.
    #[schemars(example = LineFormat::Csv)]
    pub format: LineFormat,
    /// The columns of `format = "csv"`, in order; `device` and `time` have a meaning, `_` skips one. Without `device` the
    /// device has the peer's address as its name.
    #[serde(default)]
    #[schemars(example = ["device", "temperature", "humidity"])]
    pub columns: Vec<String>,
    /// The longest line; a longer one is refused.
    #[serde(default = "TcpConfig::usual_max_line")]
    pub max_line: ByteSize,
    /// The most connections. A further one is closed, unless another address has at least two more than its own: then that one's
    /// newest is closed.
    #[serde(default = "TcpConfig::usual_max_connections")]
    #[schemars(range(min = 1, max = 4096))]
    pub max_connections: usize,
    /// A connection without a line for this long is closed.
    #[serde(default = "TcpConfig::usual_idle")]
    pub idle: HumanDuration,
    /// The most lines per second from one address; a faster one is slowed down.
    #[serde(default = "TcpConfig::usual_max_rate")]
    #[schemars(range(min = 1, max = 1_000_000))]
    pub max_rate: u32,
}

impl TcpConfig {
    const fn usual_max_line() -> ByteSize {
        DEFAULT_MAX_LINE
    }

    const fn usual_max_connections() -> usize {
        64
    }

    const fn usual_idle() -> HumanDuration {
        HumanDuration::from_secs(600)
    }

    const fn usual_max_rate() -> u32 {
        10_000
    }
}
