//! The tests of what this crate offers to others: one program, since each more is linked again.

mod away;
mod common;
mod due;
mod lasting;
mod rules;
mod timeline;
mod told;
mod told_properties;
mod whole;
