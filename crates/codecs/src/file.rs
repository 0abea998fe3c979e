//! Codecs in files, `[devices.*] codec = "codecs/am307.js"`: read, and compiled.

use std::path::Path;

use gateway_core::chain;
use gateway_core::files::read_text;

use crate::Codec;
use crate::javascript::{Engine, MAX_FILE_BYTES};
use crate::script_thread::ScriptRunner;

/// The text of a codec's file.
///
/// # Errors
/// What to say where it cannot be read.
pub fn read(file: &str) -> Result<String, String> {
    read_text(Path::new(file), MAX_FILE_BYTES as u64)
}

/// The codec in `text`, which stands in `file`.
///
/// # Errors
/// Every problem in words, each with the file and the place in it; one of them is a file that does not come to its end.
pub fn compile(file: &str, text: &str, engine: &Engine) -> Result<Codec, Vec<String>> {
    let in_words = |problems: Vec<crate::CodecError>| problems.iter().map(ToString::to_string).collect();
    let (name, text, engine) = (file.to_owned(), text.to_owned(), engine.clone());
    // A script's own statements are run, and may not come back.
    let compiled = ScriptRunner::default().run(move || Codec::from_file(&name, &text, &engine));
    let lost = |lost| vec![format!("{file}: {}; correct the code outside its functions", chain(&lost))];
    compiled.map_err(lost)?.map_err(in_words)
}

/// [`read`] and [`compile`].
///
/// # Errors
/// As both.
pub fn load(file: &str, engine: &Engine) -> Result<Codec, Vec<String>> {
    let text = read(file).map_err(|why| vec![why])?;
    compile(file, &text, engine)
}
