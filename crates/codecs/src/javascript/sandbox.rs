//! One codec in an engine of its own: its heap, its stack, its time.
//!
//! A codec has a QuickJS runtime to itself, so that the engine's own bound on memory is the codec's, and nothing that it
//! does to the language's objects reaches another codec. The file is compiled once; each call runs it anew from its
//! first statement, so that nothing it keeps in variables passes from one message to the next.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use rquickjs::context::{EvalOptions, intrinsic};
use rquickjs::{CatchResultExt as _, CaughtError, Context, Ctx, Function, Object, Runtime};
use rustix::time::{ClockId, clock_gettime};

use super::error::{ScriptError, ScriptFailure, Text};
use super::{EntryPoint, MEMORY_LIMIT, STACK_LIMIT, TIME_LIMIT};
use crate::SourcePosition;

const PRELUDE: &str = include_str!("prelude.js");

/// Before and behind the codec's file. Before it nothing may stand that would take `"use strict"` its place.
const BEFORE: &str = "__riser.define(function () {";
/// What the gateway calls.
const FUNCTIONS: [&str; 5] = ["decodeUplink", "Decoder", "Decode", "normalizeUplink", "encodeDownlink"];

/// What codecs use of the language's library (no weak references, no timers, no messages).
type Library = (
    intrinsic::Date,
    intrinsic::Eval,
    intrinsic::RegExpCompiler,
    intrinsic::RegExp,
    intrinsic::Json,
    intrinsic::Proxy,
    intrinsic::MapSet,
    intrinsic::TypedArrays,
    intrinsic::Promise,
);

/// A codec, compiled and ready.
pub(super) struct Sandbox {
    context: Context,
    time: Arc<TimeLimit>,
}

impl Sandbox {
    /// Compiles the file; it is not run yet.
    pub(super) fn new(file: &str, source: &str) -> Result<Self, ScriptError> {
        let engine = || ScriptError::Limit { problem: ScriptFailure::Engine };
        let runtime = Runtime::new().map_err(|_| engine())?;
        runtime.set_memory_limit(MEMORY_LIMIT);
        runtime.set_max_stack_size(STACK_LIMIT);
        let time = Arc::new(TimeLimit::default());
        let watched = Arc::clone(&time);
        runtime.set_interrupt_handler(Some(Box::new(move || watched.is_over())));
        let context = Context::custom::<Library>(&runtime).map_err(|_| engine())?;
        let sandbox = Self { context, time };
        sandbox.time.start();
        sandbox.context.with(|ctx| {
            ctx.eval::<(), _>(PRELUDE).catch(&ctx).map_err(|_| engine())?;
            compile(&ctx, file, source)
        })?;
        Ok(sandbox)
    }

    /// Calls the codec, and gives its answer as JSON.
    pub(super) fn call(&self, entry: EntryPoint, input: &str) -> Result<String, ScriptFailure> {
        self.time.start();
        let answer = self.evaluate(entry, input);
        if self.was_deaf() { Err(ScriptFailure::TimedOut) } else { answer }
    }

    /// Whether the last call took so much longer than it may that the engine cannot have looked at its time.
    pub(super) fn was_deaf(&self) -> bool {
        self.time.used() > 5 * TIME_LIMIT
    }

    fn evaluate(&self, entry: EntryPoint, input: &str) -> Result<String, ScriptFailure> {
        self.context.with(|ctx| {
            let riser: Object<'_> = ctx.globals().get("__riser").map_err(|_| ScriptFailure::Engine)?;
            let name = match entry {
                EntryPoint::Functions => "functions",
                EntryPoint::Decode => "decode",
                EntryPoint::Encode => "encode",
            };
            let entry: Function<'_> = riser.get(name).map_err(|_| ScriptFailure::Engine)?;
            entry.call((input,)).catch(&ctx).map_err(|error| self.failure(&error))
        })
    }

    /// The exceptions that the prelude cannot catch, or that come from within it.
    fn failure(&self, error: &CaughtError<'_>) -> ScriptFailure {
        if self.time.was_over() {
            ScriptFailure::TimedOut
        } else {
            ScriptFailure::of_exception(&error_text(error))
        }
    }

    /// How much the codec holds, in bytes. It counts every object: not for the hot path.
    pub(super) fn memory(&self) -> usize {
        usize::try_from(self.context.runtime().memory_usage().malloc_size).unwrap_or(0)
    }
}

fn compile(ctx: &Ctx<'_>, file: &str, source: &str) -> Result<(), ScriptError> {
    let mut options = EvalOptions::default();
    options.strict = false;
    options.filename = Some(file.replace('\0', " "));
    // Within texts, the only place for it, a NUL can be written so that C takes it too.
    let wrapped = [BEFORE, source, &behind(source)].concat().replace('\0', "\\x00");
    ctx.eval_with_options::<(), _>(wrapped, options).catch(ctx).map_err(|error| {
        let text = error_text(&error);
        if text.contains("out of memory") {
            return ScriptError::Limit { problem: ScriptFailure::OutOfMemory };
        }
        ScriptError::Syntax { place: place(&error), problem: Text::new(&text) }
    })
}

/// What follows the file, in a line of its own since the file may end in a comment: it hands out the functions.
fn behind(source: &str) -> String {
    let listed = |names: &mut dyn Iterator<Item = &str>| {
        names
            .map(|name| format!("{name}: typeof {name} === 'function' ? {name} : undefined,"))
            .collect::<String>()
    };
    // Here the file is the body of a function. Some count on their functions being members of the global object.
    let shared = match source.contains("this.") || source.contains("globalThis") {
        true => format!("__riser.share({{{}}});", listed(&mut functions_in(source))),
        false => String::new(),
    };
    format!("\n;{shared}return {{{}}}}})", listed(&mut FUNCTIONS.into_iter()))
}

/// The names behind the word `function`, wherever they stand: those of inner functions turn out to be nothing.
fn functions_in(source: &str) -> impl Iterator<Item = &str> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '$');
    source.split("function ").skip(1).filter_map(move |behind| {
        let behind = behind.trim_start();
        let end = behind.find(|c| !is_name(c))?;
        let (name, rest) = behind.split_at_checked(end)?;
        let is_declared = !name.is_empty() && !name.starts_with(|c: char| c.is_ascii_digit());
        (is_declared && rest.trim_start().starts_with('(')).then_some(name)
    })
}

fn error_text(error: &CaughtError<'_>) -> String {
    match error {
        CaughtError::Exception(exception) => {
            let name: String = exception.get("name").unwrap_or_default();
            format!("{name}: {}", exception.message().unwrap_or_default())
        }
        CaughtError::Value(value) if value.is_null() => "null".to_owned(),
        CaughtError::Value(value) => {
            value.as_string().and_then(|text| text.to_string().ok()).unwrap_or_default()
        }
        CaughtError::Error(error) => error.to_string(),
    }
}

/// From the first line of the engine's trace: `    at codec.js:12:4`.
fn place(error: &CaughtError<'_>) -> SourcePosition {
    let CaughtError::Exception(exception) = error else { return SourcePosition::default() };
    let stack = exception.stack().unwrap_or_default();
    let mut numbers = stack.lines().next().unwrap_or_default().trim_end_matches(')').rsplit(':');
    let (column, line) =
        (numbers.next().and_then(|it| it.parse().ok()), numbers.next().and_then(|it| it.parse().ok()));
    let (Some(column), Some(line)) = (column, line) else { return SourcePosition::default() };
    let before = if line == 1 { u32::try_from(BEFORE.len()).unwrap_or(0) } else { 0 };
    SourcePosition(Some((line, u32::saturating_sub(column, before).max(1))))
}

/// When a call has had its time: processor time of its thread, so that a busy machine does not fail a good codec.
#[derive(Debug, Default)]
struct TimeLimit {
    /// In nanoseconds of the calling thread's processor time.
    ends: AtomicU64,
    over: AtomicBool,
}

impl TimeLimit {
    fn start(&self) {
        let limit = u64::try_from(TIME_LIMIT.as_nanos()).unwrap_or(u64::MAX);
        self.over.store(false, Ordering::Relaxed);
        self.ends.store(thread_time().saturating_add(limit), Ordering::Relaxed);
    }

    /// The engine asks now and then, on the thread that runs the codec.
    fn is_over(&self) -> bool {
        let is_over = thread_time() >= self.ends.load(Ordering::Relaxed);
        self.over.fetch_or(is_over, Ordering::Relaxed);
        is_over
    }

    /// Since the start of the call.
    fn used(&self) -> Duration {
        let ends = Duration::from_nanos(self.ends.load(Ordering::Relaxed));
        (Duration::from_nanos(thread_time()) + TIME_LIMIT).saturating_sub(ends)
    }

    fn was_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }
}

/// Nanoseconds that this thread has computed.
fn thread_time() -> u64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    let time = Duration::try_from(time).unwrap_or_default();
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
