//! One broker connection, for adapters and sinks alike.
