//! Why a payload, or a codec's name, was refused. Errors say where; they never carry the payload itself, so that a
//! hostile one cannot fill the log.

use gateway_core::DropReason;

/// A payload that does not fit its format. Nothing of it became a measurement.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// More bytes than are taken.
    #[error("the payload has {bytes} bytes; at most {most} are taken")]
    TooLarge {
        /// How many came.
        bytes: usize,
        /// [`crate::MAX_PAYLOAD_BYTES`].
        most: usize,
    },
    /// Not UTF-8.
    #[error("the payload is not UTF-8 text at byte {at}")]
    NotText {
        /// Offset of the first byte that is none.
        at: usize,
    },
    /// Not JSON (RFC 8259).
    #[error("not JSON at line {line} column {column}")]
    Json {
        /// Counted from 1.
        line: usize,
        /// Counted from 1, in bytes.
        column: usize,
        /// What the parser said.
        #[source]
        source: serde_json::Error,
    },
    /// Not CBOR (RFC 8949).
    #[error("not CBOR: {problem}")]
    Cbor {
        /// What is wrong.
        problem: &'static str,
        /// At which byte, where the parser knows.
        at: Option<usize>,
    },
    /// Objects within objects within objects.
    #[error("nested deeper than {most} levels")]
    TooDeep {
        /// [`crate::MAX_DEPTH`].
        most: u8,
    },
    /// Well-formed, but not what the format expects.
    #[error("expected {expected}")]
    Shape {
        /// What should stand there.
        expected: &'static str,
    },
    /// The payload's only number, or a number that its text form cannot hold, is NaN or infinite.
    #[error("a number is NaN, infinite or beyond what 64 bits of floating point hold")]
    NotFinite,
    /// The event time is there and cannot be read.
    #[error("record {record}: the event time is no RFC 3339 time and no epoch number")]
    BadTime {
        /// Counted from 1.
        record: usize,
    },
    /// A metric without a name.
    #[error("record {record}: a metric has no name")]
    NoName {
        /// Counted from 1.
        record: usize,
    },
    /// A metric's or device's name is longer than is taken.
    #[error("record {record}: a name is longer than {most} bytes")]
    NameTooLong {
        /// Counted from 1.
        record: usize,
        /// [`crate::MAX_NAME_BYTES`], `DeviceAddress::MAX_BYTES`, or for nested names that make no metric 1,024.
        most: usize,
    },
    /// More readings than one payload may hold.
    #[error("more than {most} readings in one payload")]
    TooManyReadings {
        /// [`crate::MAX_READINGS`].
        most: usize,
    },
    /// A SenML record breaks a rule of RFC 8428.
    #[error("SenML record {record}: {problem}")]
    Senml {
        /// Counted from 1.
        record: usize,
        /// Which rule.
        problem: &'static str,
    },
    /// A frame of Cayenne LPP that cannot be read to its end.
    #[error("Cayenne LPP, at byte {at}: {problem}")]
    Lpp {
        /// Where the value begins, counted from 0.
        at: usize,
        /// What is wrong.
        problem: LppProblem,
    },
    /// Fewer bytes than a struct codec's fields take.
    #[error("the payload has {found} bytes; `{field}` ends at {needed}")]
    TooShort {
        /// The first field that is not there.
        field: String,
        /// Bytes up to its end.
        needed: usize,
        /// Bytes that came.
        found: usize,
    },
    /// A struct codec has no layout for this FPort.
    #[error("the codec has no fields for {}", port.map_or_else(|| "a payload without FPort".to_owned(), |port| format!("FPort {port}")))]
    Port {
        /// The payload's.
        port: Option<u8>,
    },
    /// A network server's message whose bytes no codec reads.
    #[error(
        "the network server did not decode the bytes and the device has no codec; write `codec = \"…\"` in its [devices.*] table, or give it a payload formatter in the server"
    )]
    NoDeviceCodec,
    /// A network server's message in which the device's bytes are no base64.
    #[error("`{key}` is not base64")]
    Base64 {
        /// The member that holds them.
        key: &'static str,
    },
    /// A codec in JavaScript gave nothing.
    #[error(transparent)]
    Script(#[from] crate::javascript::ScriptFailure),
    /// An advertisement that is refused.
    #[error("{format}: {problem}")]
    Ble {
        /// The format it is of; `ble` where that is not known.
        format: &'static str,
        /// What is wrong, and what to do.
        problem: crate::ble::BleProblem,
    },
    /// The value of a GATT characteristic that is refused.
    #[error("characteristic `{uuid}`: {problem}")]
    Gatt {
        /// Its UUID.
        uuid: String,
        /// What is wrong, and what to do.
        problem: crate::gatt::GattProblem,
    },
    /// A line of CSV does not fit the columns.
    #[error("line {line}: {problem}")]
    Csv {
        /// Counted from 1.
        line: usize,
        /// What is wrong.
        problem: CsvProblem,
    },
    /// A sealed frame that cannot be opened, or a frame that is not sealed though its device has a key.
    #[error("not a node frame of this device")]
    Sealed {
        /// What is wrong with it.
        #[source]
        source: wire::sealed::OpenError,
    },
    /// Not a frame of our firmware.
    #[error("not a node frame")]
    Node {
        /// What is wrong with it.
        #[source]
        source: wire::DecodeError,
    },
}

/// What is wrong with a frame of Cayenne LPP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LppProblem {
    /// The frame ends within a value.
    #[error("the frame ends within a value")]
    Truncated,
    /// A type that is not in the table.
    #[error("the type {code} is not known, nor how long its value is")]
    UnknownType {
        /// The type.
        code: u8,
    },
    /// Type 240.
    #[error("polylines (type 240) are lists of points and no measurement")]
    Polyline,
}

/// What is wrong with a line of CSV.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CsvProblem {
    /// Too few or too many cells.
    #[error("{found} cells where `columns` names {expected}")]
    Cells {
        /// In the line.
        found: usize,
        /// In the configuration.
        expected: usize,
    },
    /// A cell of a metric is neither a number nor a two-valued word.
    #[error("cell {column} is not a number; name the column `_` to ignore it")]
    NotANumber {
        /// Counted from 1.
        column: usize,
    },
    /// Quotes that do not close, or a broken line.
    #[error("not CSV")]
    Syntax,
}

impl DecodeError {
    /// Under which reason the payload is counted.
    #[must_use]
    pub fn reason(&self) -> DropReason {
        match self {
            Self::TooLarge { .. } => DropReason::TooLarge,
            Self::NotFinite => DropReason::NotFinite,
            Self::TooManyReadings { .. } => DropReason::TooManyReadings,
            Self::NoDeviceCodec => DropReason::NoCodec,
            Self::Ble { problem, .. } => problem.reason(),
            Self::Sealed { source: wire::sealed::OpenError::Forged } => DropReason::BadMic,
            _ => DropReason::BadPayload,
        }
    }
}

/// A codec that cannot be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CodecError {
    /// There is no such codec.
    #[error("there is no codec `{name}`; there are {}", crate::Codec::NAMES.join(", "))]
    Unknown {
        /// What was asked for.
        name: String,
    },
    /// A codec's file that cannot be used.
    #[error("{file}{place}: {problem}")]
    File {
        /// Its name.
        file: String,
        /// Where in it.
        place: SourcePosition,
        /// What is wrong, and what to do.
        problem: String,
    },
    /// `csv` without columns.
    #[error("the codec `csv` needs `columns`, such as [\"time\", \"temperature\", \"humidity\"]")]
    NoColumns,
    /// `csv` with columns that make no measurement, or the same one twice.
    #[error("`columns` {problem}")]
    Columns {
        /// What is wrong with them.
        problem: String,
    },
}

/// A line and a column in a file, `:3:14` where they are known, counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SourcePosition(pub Option<(u32, u32)>);

impl std::fmt::Display for SourcePosition {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            Some((line, column)) => write!(f, ":{line}:{column}"),
            None => Ok(()),
        }
    }
}
