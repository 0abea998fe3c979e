//! `[adapters.*]`: a table per kind, and in it one per name.
