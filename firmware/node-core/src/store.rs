//! The two memories of a node: flash, which lasts, and RAM for boards without.

mod flash;
mod ram;

pub use flash::FlashStore;
pub use ram::RamStore;
