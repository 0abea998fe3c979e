//! Stands in for `sandbox.rs` in a program that is built without QuickJS: no codec in JavaScript can be loaded.

use super::EntryPoint;
use super::error::{ScriptError, ScriptFailure};

/// There is none.
pub(super) enum Sandbox {}

impl Sandbox {
    pub(super) fn new(_file: &str, _source: &str) -> Result<Self, ScriptError> {
        Err(ScriptError::LeftOut)
    }

    pub(super) fn call(&self, _entry: EntryPoint, _input: &str) -> Result<String, ScriptFailure> {
        match *self {}
    }

    pub(super) fn was_deaf(&self) -> bool {
        match *self {}
    }

    pub(super) fn memory(&self) -> usize {
        match *self {}
    }
}
