//! What servers say, as far as it is shown to people.

use gateway_core::findings::one_line;

/// The most of a text, in characters.
const LONGEST: usize = 300;

/// The beginning of a text from outside, on one line and without control characters.
pub(crate) fn shown(text: &str) -> String {
    one_line(text).chars().take(LONGEST).collect()
}
