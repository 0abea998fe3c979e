//! The tests of what this crate offers to others: one program, since each more is linked again.

mod actor;
mod common;
mod damage;
mod model;
mod outbox;
mod power;
mod process;
