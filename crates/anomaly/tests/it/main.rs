//! The tests of what this crate offers to others: one program, since each more is linked again.

mod causality;
