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
    /// A line of CSV does not fit the columns.
    #[error("line {line}: {problem}")]
    Csv {
        /// Counted from 1.
        line: usize,
        /// What is wrong.
        problem: CsvProblem,
    },
    /// Not a frame of our firmware.
    #[error("not a node frame")]
    Node {
        /// What is wrong with it.
        #[source]
        source: wire::DecodeError,
    },
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
