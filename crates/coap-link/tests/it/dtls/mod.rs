//! Our DTLS against other people's: OpenSSL's command, libcoap's client and server with OpenSSL and with GnuTLS.
//!
//! Needs Debian's `openssl` and `libcoap3-bin`.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test's helpers fail the test"
)]

mod client;
mod loops;
mod server;
