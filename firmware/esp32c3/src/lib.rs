//! What the node and the broker share: configuration, the radio, and the end of a program that panics.

#![no_std]

pub mod board;
pub mod config;
pub mod link;

use core::panic::PanicInfo;

/// Bytes of RAM for the radio's library, which allocates.
pub const HEAP: usize = 96 * 1024;

/// Nothing reads messages of a node: it starts anew.
#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    esp_hal::system::software_reset()
}
