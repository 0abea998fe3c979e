//! The tests of what this crate offers to others: one program, since each more is linked again.

mod any_bytes;
mod golden_bytes;
