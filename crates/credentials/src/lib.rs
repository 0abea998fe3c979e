//! Passwords and certificates, for every part of the gateway that lets somebody in: the broker and the web page.
//!
//! A password stands in the configuration itself or as an Argon2 hash. Checks against a hash are bounded in number and
//! memory over all parts, so that a flood of wrong passwords neither takes the memory nor locks the right ones out.

mod certificates;
mod password;
mod turns;

pub use certificates::{CertificateError, CertificateFiles, CurrentCertificate};
pub use password::{Busy, Checked, InvalidPassword, PasswordSource, Verifier, find, hash, same};
