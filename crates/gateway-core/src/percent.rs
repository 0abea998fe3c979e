//! Percent-encoding (RFC 3986, section 2.1) of characters that a name may not have somewhere.

use std::fmt::Write as _;

/// Decodes what [`push`] encoded; `None` where it is no percent-encoded UTF-8.
#[must_use]
pub fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        if first != b'%' {
            bytes.push(first);
            rest = after;
            continue;
        }
        let (digits, after) = after.split_at_checked(2)?;
        let digits = std::str::from_utf8(digits).ok().filter(|digits| !digits.contains('+'))?;
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        rest = after;
    }
    String::from_utf8(bytes).ok()
}

/// Appends the character as `%` and two hex digits for each of its bytes in UTF-8.
pub fn push(text: &mut String, c: char) {
    for byte in c.encode_utf8(&mut [0; 4]).bytes() {
        // Writing into memory does not fail.
        let _ = write!(text, "%{byte:02X}");
    }
}
