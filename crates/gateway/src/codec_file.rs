//! Codecs in files, `[devices.*] codec = "codecs/am307.js"`: read, and compiled.

use std::path::Path;

use codecs::Codec;
use codecs::javascript::{Engine, MAX_FILE_BYTES};

use crate::config::secrets::read_text;

/// The text of a codec's file.
///
/// # Errors
/// What to say where it cannot be read.
pub(crate) fn read(file: &str) -> Result<String, String> {
    read_text(Path::new(file), MAX_FILE_BYTES as u64)
}

/// The codec in `text`, which stands in `file`.
///
/// # Errors
/// Every problem in words, each with the file and the place in it.
pub(crate) fn compile(file: &str, text: &str, engine: &Engine) -> Result<Codec, Vec<String>> {
    let in_words = |problems: Vec<codecs::CodecError>| problems.iter().map(ToString::to_string).collect();
    Codec::from_file(file, text, engine).map_err(in_words)
}

/// [`read`] and [`compile`].
///
/// # Errors
/// As both.
pub(crate) fn load(file: &str, engine: &Engine) -> Result<Codec, Vec<String>> {
    let text = read(file).map_err(|why| vec![why])?;
    compile(file, &text, engine)
}
