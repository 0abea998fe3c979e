//! `[adapters.mqtt.*]`.
