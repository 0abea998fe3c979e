//! The local history of windows, and the models of devices as a whole that are fitted to it.

pub mod local_history;
pub mod models;
pub mod retrain;
