//! Why a codec in JavaScript could not be loaded, or gave nothing for a payload.

use std::fmt;

use crate::SourcePosition;

/// Longest text of a codec that is passed on, in characters: a codec must not make log lines arbitrarily long.
const MAX_TEXT: usize = 200;

/// A file that is no codec.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScriptError {
    /// It is not JavaScript as a script.
    #[error("{problem}")]
    Syntax {
        /// Position in the file, if the engine knows it.
        place: SourcePosition,
        /// What the engine says.
        problem: Text,
    },
    /// The file's own statements fail before any function is called.
    #[error("the file cannot be run: {problem}")]
    TopLevel {
        /// What it threw.
        problem: Text,
    },
    /// None of the functions is in it.
    #[error(
        "there is no `decodeUplink(input)` in it, nor `Decoder(bytes, port)` or `Decode(fPort, bytes, variables)`"
    )]
    NoFunction,
    /// Loading it takes too much.
    #[error("the file itself needs more than a codec may: {problem}")]
    Limit {
        /// Which bound.
        problem: ScriptFailure,
    },
    /// The program has no JavaScript engine.
    #[error("{}", gateway_core::left_out("JavaScript", "javascript"))]
    LeftOut,
    /// Larger than a codec may be.
    #[error("the file has {bytes} bytes; a codec may have {most}")]
    TooLarge {
        /// Its size.
        bytes: usize,
        /// The bound.
        most: usize,
    },
}

impl ScriptError {
    /// Position in the file, if the engine knows it.
    #[must_use]
    pub fn place(&self) -> SourcePosition {
        match self {
            Self::Syntax { place, .. } => *place,
            _ => SourcePosition::default(),
        }
    }
}

/// A payload for which a codec gave nothing, or a codec that was not asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScriptFailure {
    /// Stopped after [`super::TIME_LIMIT`] of processor time.
    #[error("the codec was stopped after {} ms", super::TIME_LIMIT.as_millis())]
    TimedOut,
    /// It wanted more than [`super::MEMORY_LIMIT`].
    #[error("the codec wanted more than {} MiB of memory", super::MEMORY_LIMIT / (1 << 20))]
    OutOfMemory,
    /// It was stopped too often, and is given a rest.
    #[error("the codec was stopped {times} times and is skipped for the next {messages} messages")]
    PutAside {
        /// How often it was stopped.
        times: u32,
        /// How many messages, counting down.
        messages: u32,
    },
    /// An exception.
    #[error("the codec threw {text}")]
    Threw {
        /// Its name and message.
        text: Text,
    },
    /// The codec's own `errors`.
    #[error("the codec says: {text}")]
    Refused {
        /// Joined with `; `.
        text: Text,
    },
    /// Neither data nor errors.
    #[error("the codec returned nothing")]
    Nothing,
    /// Not what TS013 wants.
    #[error("the codec returned {problem}")]
    Answer {
        /// What is wrong.
        problem: &'static str,
    },
    /// There is no `encodeDownlink`.
    #[error("the codec has no `encodeDownlink(input)`")]
    NoEncoder,
    /// The engine could not be set up.
    #[error("the JavaScript engine has no memory left to run the codec")]
    Engine,
}

impl ScriptFailure {
    /// What a codec's exception means.
    pub(super) fn of_exception(thrown: &str) -> Self {
        if thrown.contains("out of memory") || thrown == "null" {
            return Self::OutOfMemory;
        }
        Self::Threw { text: Text::new(thrown) }
    }
}

/// A text that a codec made: one line of bounded length.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text(String);

impl Text {
    pub(super) fn new(said: &str) -> Self {
        let mut text: String =
            said.chars().map(|c| if c.is_control() { ' ' } else { c }).take(MAX_TEXT).collect();
        if said.chars().nth(MAX_TEXT).is_some() {
            text.push('…');
        }
        Self(text)
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
