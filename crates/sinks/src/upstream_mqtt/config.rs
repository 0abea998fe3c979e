//! `[upstream]`.
