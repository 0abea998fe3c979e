//! Percent-encoding (RFC 3986, section 2.1) of characters that a name may not have somewhere.

use std::fmt::Write as _;

/// Appends the character as `%` and two hex digits for each of its bytes in UTF-8.
pub fn push(text: &mut String, c: char) {
    for byte in c.encode_utf8(&mut [0; 4]).bytes() {
        // Writing into memory does not fail.
        let _ = write!(text, "%{byte:02X}");
    }
}
