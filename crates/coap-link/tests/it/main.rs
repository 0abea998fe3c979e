//! The tests of what this crate offers to others: one program, since each more is linked again.

mod dtls;
mod dtls_memory;
mod engine;
mod udp;
