//! The cloud broker.

pub mod config;
