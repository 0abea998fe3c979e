//! Codecs in JavaScript: LoRa Alliance TS013 (`decodeUplink`, `normalizeUplink`, `encodeDownlink`), and The Things
//! Network's older `Decoder(bytes, port)` and `Decode(fPort, bytes, variables)`, run by QuickJS.
//!
//! Promises: a codec has [`TIME_LIMIT`] of processor time per call, [`MEMORY_LIMIT`] and [`STACK_LIMIT`]; no files, no
//! network, no clock except `Date`, which is in UTC; `console` does nothing. Codecs cannot change each other's variables or
//! the language's objects of another codec, and variables do not survive a message. A codec that is stopped repeatedly is
//! suspended for some messages (`strikes`). At most 150 codecs are in memory ([`Engine`]).
//!
//! The engine does not check the time while it searches a long text, so a call may block for long: call codecs on a thread
//! that no other task waits for.

mod answer;
mod error;
mod live;
mod measure;
#[cfg(feature = "javascript")]
mod sandbox;
#[cfg(not(feature = "javascript"))]
#[path = "javascript/no_sandbox.rs"]
mod sandbox;
mod strikes;
#[cfg(test)]
mod tests;

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

pub use answer::{Answer, Downlink};
pub use error::{ScriptError, ScriptFailure, Text};
use live::{Live, Slot, State};
pub(crate) use measure::{decode, measure, measure_data, run};
use sandbox::Sandbox;

/// The processor time of one call.
pub const TIME_LIMIT: Duration = Duration::from_millis(200);
/// The memory of a codec in bytes, including its compiled file.
pub const MEMORY_LIMIT: usize = 8 << 20;
/// Stack in bytes.
pub const STACK_LIMIT: usize = 256 << 10;
/// Largest file in bytes.
pub const MAX_FILE_BYTES: usize = 2 << 20;

/// The number of calls between two checks of a codec's memory.
const LOOK_EVERY: u32 = 256;
/// The memory in bytes that a codec may keep between calls, besides the file itself.
const KEPT: usize = 1 << 20;

/// The bound on the number of codecs in memory, shared by all. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Engine(Arc<Live>);

/// The function of the prelude that the gateway calls.
#[derive(Debug, Clone, Copy)]
enum EntryPoint {
    Functions,
    Decode,
    Encode,
}

/// One message for a codec.
#[derive(Debug, Clone, Copy)]
pub struct Call<'a> {
    /// `input.bytes`.
    pub bytes: &'a [u8],
    /// `input.fPort`.
    pub port: Option<u8>,
    /// `input.recvTime`, RFC 3339.
    pub received: &'a str,
    /// The sender, for `strikes`; without it the message is independent of earlier ones.
    pub device: Option<&'a str>,
}

/// A codec's file.
#[derive(Debug)]
pub struct Script {
    file: Box<str>,
    source: Box<str>,
    encodes: bool,
    slot: Arc<Slot>,
    engine: Engine,
}

impl Script {
    /// Compiles a file and runs its own statements once. `file` is its name, for errors.
    ///
    /// # Errors
    /// The file is not JavaScript, throws, or has none of the functions.
    pub fn new(file: &str, source: &str, engine: &Engine) -> Result<Self, ScriptError> {
        if source.len() > MAX_FILE_BYTES {
            return Err(ScriptError::TooLarge { bytes: source.len(), most: MAX_FILE_BYTES });
        }
        let source = source.trim_start_matches('\u{feff}');
        let sandbox = Sandbox::new(file, source)?;
        let functions = functions(&sandbox)?;
        let has = |name: &str| functions.iter().any(|known| known == name);
        if !(has("decodeUplink") || has("Decoder") || has("Decode")) {
            return Err(ScriptError::NoFunction);
        }
        let script = Self {
            file: file.into(),
            source: source.into(),
            encodes: has("encodeDownlink"),
            slot: Arc::default(),
            engine: engine.clone(),
        };
        let mut state = script.slot.lock();
        state.sandbox = Some(sandbox);
        script.engine.0.enter(&script.slot, &mut state);
        drop(state);
        Ok(script)
    }

    /// The file's name.
    #[must_use]
    pub fn file(&self) -> &str {
        &self.file
    }

    /// Decodes a message; an [`Answer`] with `errors` is a refusal.
    ///
    /// # Errors
    /// The codec returns nothing, throws, or is stopped.
    pub fn decode(&self, call: &Call<'_>) -> Result<Answer, ScriptFailure> {
        self.call(EntryPoint::Decode, &input(call), call.device).and_then(|turn| Answer::of(&turn))
    }

    /// The downlink for a command: `encodeDownlink({data: command})`.
    ///
    /// # Errors
    /// There is no such function, or it refuses, throws, or is stopped.
    pub fn encode(&self, command: &Value, device: &str) -> Result<Downlink, ScriptFailure> {
        if !self.encodes {
            return Err(ScriptFailure::NoEncoder);
        }
        let input = serde_json::json!({ "data": command }).to_string();
        self.call(EntryPoint::Encode, &input, Some(device)).and_then(|turn| Downlink::of(&turn))
    }

    /// Makes the next call start with a fresh sandbox, without changes to the language's own objects.
    pub fn forget(&self) {
        self.slot.lock().sandbox = None;
    }

    fn call(&self, entry: EntryPoint, input: &str, device: Option<&str>) -> Result<String, ScriptFailure> {
        let state = &mut *self.slot.lock();
        device.map_or(Ok(()), |device| state.strikes.admit(device))?;
        let answer = self.sandbox(state).and_then(|sandbox| sandbox.call(entry, input));
        let was_deaf = state.sandbox.as_ref().is_some_and(Sandbox::was_deaf);
        match (&answer, device) {
            (Err(ScriptFailure::TimedOut), Some(device)) if was_deaf => state.strikes.was_deaf(device),
            (Err(ScriptFailure::TimedOut), Some(device)) => state.strikes.stopped(device),
            (_, Some(device)) => state.strikes.finished(device),
            (_, None) => {}
        }
        // After an exception of the engine itself, the state may be inconsistent.
        let is_exhausted = matches!(&answer, Ok(turn) if turn.contains("out of memory"));
        if answer.is_err() || is_exhausted || holds_too_much(state, self.source.len()) {
            state.sandbox = None;
        }
        answer
    }

    fn sandbox<'s>(&self, state: &'s mut State) -> Result<&'s Sandbox, ScriptFailure> {
        if state.sandbox.is_none() {
            // The file was compiled before, when it was loaded, so only memory can be missing now.
            let sandbox = Sandbox::new(&self.file, &self.source).map_err(|_| ScriptFailure::Engine)?;
            state.sandbox = Some(sandbox);
            state.calls = 0;
            self.engine.0.enter(&self.slot, state);
        }
        state.calls = state.calls.wrapping_add(1);
        state.sandbox.as_ref().ok_or(ScriptFailure::Engine)
    }
}

/// Some codecs keep data in the language's own objects, which outlive a call.
fn holds_too_much(state: &State, source_bytes: usize) -> bool {
    let is_time = state.calls.is_multiple_of(LOOK_EVERY);
    // Compiled, a file takes some ten times its size.
    let due = 16 * source_bytes + KEPT;
    is_time && state.sandbox.as_ref().is_some_and(|sandbox| sandbox.memory() > due)
}

fn functions(sandbox: &Sandbox) -> Result<Vec<String>, ScriptError> {
    let limit = |problem| match problem {
        ScriptFailure::Threw { text } => ScriptError::TopLevel { problem: text },
        problem => ScriptError::Limit { problem },
    };
    let turn = sandbox.call(EntryPoint::Functions, "").map_err(limit)?;
    let (answer, _) = answer::answer_of(&turn).map_err(limit)?;
    Ok(answer.and_then(|names| serde_json::from_value(names).ok()).unwrap_or_default())
}

/// TS013's input as JSON, written by hand: it is made for every message.
fn input(call: &Call<'_>) -> String {
    let mut text = String::with_capacity(64 + 4 * call.bytes.len());
    text.push_str("{\"bytes\":[");
    for (index, byte) in call.bytes.iter().enumerate() {
        let comma = if index == 0 { "" } else { "," };
        let _ = write!(text, "{comma}{byte}");
    }
    text.push(']');
    if let Some(port) = call.port {
        let _ = write!(text, ",\"fPort\":{port}");
    }
    let _ = write!(text, ",\"recvTime\":{},\"variables\":{{}}}}", Value::from(call.received));
    text
}
