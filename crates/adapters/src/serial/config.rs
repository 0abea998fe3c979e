//! `[adapters.serial.*]`.

use std::path::PathBuf;

use gateway_core::settings::ByteSize;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::lines::{DEFAULT_MAX_LINE, LineFormat};

/// Devices on a serial port that send one reading per line: 8 data bits, no parity, 1 stop bit. See docs/serial-and-tcp.md.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "SerialAdapter")]
pub struct SerialConfig {
    /// The port. A name in /dev/serial/by-id stays the same when other devices are plugged in.
    #[schemars(example = "/dev/ttyUSB0")]
    pub port: PathBuf,
    /// The device's rate in bits per second.
    #[serde(default = "SerialConfig::usual_baud")]
    #[schemars(range(min = 50, max = 4_000_000))]
    pub baud: u32,
    /// The format of each line.
    #[schemars(example = LineFormat::Csv)]
    pub format: LineFormat,
    /// The columns of `format = "csv"`, in order; `device` and `time` have a meaning, `_` skips one. Without `device` the
    /// device has the name of this table.
    #[serde(default)]
    #[schemars(example = ["device", "temperature", "humidity"])]
    pub columns: Vec<String>,
    /// The longest line; a longer one is refused.
    #[serde(default = "SerialConfig::usual_max_line")]
    pub max_line: ByteSize,
}

impl SerialConfig {
    const fn usual_baud() -> u32 {
        115_200
    }

    const fn usual_max_line() -> ByteSize {
        DEFAULT_MAX_LINE
    }
}
