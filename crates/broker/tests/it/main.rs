//! The tests of what this crate offers to others: one program, since each more is linked again.

mod clients;
mod common;
mod hostile;
mod kill;
mod tap;
mod tls;
