//! The tests of what this crate offers to others: one program, since each more is linked again.

mod ble;
mod ble_memory;
mod formats;
mod hostile;
mod memory;
mod zone;
