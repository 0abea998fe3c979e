//! `[broker]`.
