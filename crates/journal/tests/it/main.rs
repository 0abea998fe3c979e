//! The tests of what this crate offers to others: one program, since each more is linked again.

mod content;
mod damage;
mod faults;
mod journal;
mod model;
mod overlap;
mod process;
mod simulated_disk;
mod trouble;
