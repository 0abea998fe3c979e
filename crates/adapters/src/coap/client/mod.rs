//! The side on which Riser asks: resources of devices that it follows, and what alerts have devices do.

mod observed;
pub mod url;
