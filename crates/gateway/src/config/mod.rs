//! `gateway.toml`: what may stand in it, how it is read, checked and described.

pub(crate) mod model;
