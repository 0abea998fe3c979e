//! Line protocols, shared by `serial` and `tcp`: bytes to lines, and a line to an uplink.
//!
//! Promises for any bytes: memory is bounded by `max_line`; a line that cannot be read is refused and counted, and
//! the next one is read; a line without its end is never read, because it may be half a number.

mod check;
mod format;
mod reader;
mod splitter;
mod submit;

pub(crate) use check::check;
pub use format::{DEFAULT_MAX_LINE, LineFormat};
pub use reader::LineSource;
pub(crate) use reader::{LineCounts, LineReader};
pub use splitter::{Cut, Splitter};
pub(crate) use submit::{SubmitResult, submit};
