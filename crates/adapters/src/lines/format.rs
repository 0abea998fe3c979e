//! The formats of lines, `csv`, `json`, `value` and `node`: finds the device in a line and the bytes for the codec.

use std::borrow::Cow;

use gateway_core::settings::ByteSize;
use gateway_core::{DeviceAddress, DropReason};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The default of `max_line`.
pub const DEFAULT_MAX_LINE: ByteSize = ByteSize(4 << 10);

/// What each line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LineFormat {
    /// Cells, with names of `columns`.
    Csv,
    /// An object.
    Json,
    /// A number.
    Value,
    /// A frame of Riser's firmware in hexadecimal digits; a device's name and a space may stand before it.
    Node,
}

impl LineFormat {
    /// The codec that reads its payload.
    #[must_use]
    pub const fn codec(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Json => "json",
            Self::Value => "value",
            Self::Node => "node",
        }
    }

    /// The payload of a line, and the device that the line names. The codec reads the columns of `csv`.
    pub(super) fn read(self, line: &[u8]) -> Result<Content<'_>, LineError> {
        let text = std::str::from_utf8(line).map_err(|_| LineError::NotText)?;
        // Garbage must not become a device's name.
        if text.chars().any(|c| c.is_control() && c != '\t') {
            return Err(LineError::NotText);
        }
        match self {
            Self::Csv | Self::Value => Ok(Content { device: None, payload: Cow::Borrowed(line) }),
            Self::Json => Ok(Content { device: device_in_json(line)?, payload: Cow::Borrowed(line) }),
            Self::Node => read_node(text),
        }
    }
}

/// A line for a codec.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Content<'a> {
    pub(super) device: Option<DeviceAddress>,
    pub(super) payload: Cow<'a, [u8]>,
}

/// The line is refused before a codec reads it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum LineError {
    #[error("it is longer than `max_line`, {max_line} bytes")]
    TooLong { max_line: usize },
    #[error("it contains bytes that are not text")]
    NotText,
    #[error("the stream broke off before its end")]
    Unfinished,
    #[error(
        "the name of the device is not text, is empty, or is longer than {} bytes",
        DeviceAddress::MAX_BYTES
    )]
    Device,
    #[error("it is not a frame in hexadecimal digits, such as `535b84` or `lounge 535b84`")]
    NotHex,
}

impl LineError {
    pub(super) const fn reason(self) -> DropReason {
        match self {
            Self::TooLong { .. } => DropReason::TooLarge,
            Self::Device => DropReason::BadDevice,
            Self::NotText | Self::Unfinished | Self::NotHex => DropReason::BadPayload,
        }
    }
}

/// Reads `{"device":"lounge", …}`; the codec `json` makes no metric of texts. The codec handles all other JSON.
fn device_in_json(line: &[u8]) -> Result<Option<DeviceAddress>, LineError> {
    #[derive(Deserialize)]
    struct Named {
        device: Option<Value>,
    }
    if !line.trim_ascii_start().starts_with(b"{") {
        return Ok(None);
    }
    match serde_json::from_slice::<Named>(line) {
        Ok(Named { device: Some(Value::String(device)) }) => {
            DeviceAddress::new(&device).map(Some).ok_or(LineError::Device)
        }
        // A number is a metric of this name.
        Ok(Named { device: None | Some(Value::Number(_)) }) => Ok(None),
        Ok(_) => Err(LineError::Device),
        // `device` twice.
        Err(error) if error.is_data() => Err(LineError::Device),
        Err(_) => Ok(None),
    }
}

/// Reads `535b84` or `lounge 535b84`.
fn read_node(text: &str) -> Result<Content<'static>, LineError> {
    let (device, frame) = match text.rsplit_once([' ', '\t']) {
        Some((device, frame)) => (Some(device.trim()), frame),
        None => (None, text),
    };
    let device = device.map(|device| DeviceAddress::new(device).ok_or(LineError::Device)).transpose()?;
    let payload = hex::decode(frame).map_err(|_| LineError::NotHex)?;
    Ok(Content { device, payload: Cow::Owned(payload) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device(name: &str) -> Option<DeviceAddress> {
        DeviceAddress::new(name)
    }

    #[test]
    fn csv_and_value_are_passed_on_unchanged() {
        for format in [LineFormat::Csv, LineFormat::Value] {
            let content = format.read("21.5,40 °C\t".as_bytes()).unwrap();
            assert_eq!(content, Content { device: None, payload: "21.5,40 °C\t".as_bytes().into() });
        }
    }

    #[test]
    fn json_may_name_its_device_and_the_codec_handles_other_json() {
        let read = |line: &'static str| LineFormat::Json.read(line.as_bytes()).map(|content| content.device);
        assert_eq!(read(r#"{"device":"lounge","temperature":21.5}"#), Ok(device("lounge")));
        assert_eq!(read(r#"{"device":"l\u00fcftung"}"#), Ok(device("lüftung")));
        for without in [r#"{"temperature":21.5}"#, r#"{"device":7}"#, r#"[{"device":"a"}]"#, "{", "21.5"] {
            assert_eq!(read(without), Ok(None), "{without}");
        }
        for wrong in [r#"{"device":""}"#, r#"{"device":["a"]}"#, r#"{"device":"a","device":"b"}"#] {
            assert_eq!(read(wrong), Err(LineError::Device), "{wrong}");
        }
    }

    #[test]
    fn a_node_is_a_frame_in_hex_and_perhaps_a_name_before_it() {
        let read = |line: &'static str| LineFormat::Node.read(line.as_bytes());
        let frame = || Cow::Owned(vec![0x53, 0x5B, 0x84]);
        assert_eq!(read("535b84"), Ok(Content { device: None, payload: frame() }));
        assert_eq!(read("lounge  535B84"), Ok(Content { device: device("lounge"), payload: frame() }));
        for wrong in ["535b 8", "535b8g", "0x535b84", "lounge"] {
            assert_eq!(read(wrong), Err(LineError::NotHex), "{wrong}");
        }
    }

    #[test]
    fn bytes_that_are_not_text_are_refused_in_every_format() {
        for format in [LineFormat::Csv, LineFormat::Json, LineFormat::Value, LineFormat::Node] {
            for line in [&b"21\0.5"[..], b"\xff\xfe", b"\x1b[31m5", b"a\x7f,5", b"\xc3"] {
                assert_eq!(format.read(line), Err(LineError::NotText), "{line:?}");
            }
        }
    }
}
