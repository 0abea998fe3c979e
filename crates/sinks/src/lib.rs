//! Where results go.

pub mod runner;
pub mod sink;
pub mod upstream;
