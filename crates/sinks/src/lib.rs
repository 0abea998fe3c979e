//! Where results go.

pub mod upstream;
