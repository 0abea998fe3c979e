//! node-core on an emulated Cortex-M3 (QEMU, `-M lm3s6965evb`), with sensors that count and a link that is QEMU's semihosting
//! console: each frame is a line `emulated HEX`, as the gateway's adapters for lines read them.
//!
//! The node lives 240 times faster than its emulator's clock. The image ends with exit code 0 when the node has been told
//! to restart or has sent [`LAST_FRAME`] frames.

#![no_std]
#![no_main]

use core::fmt::Write as _;

use cortex_m_rt::entry;
use embassy_futures::block_on;
use node_core::wire::{Channel, Quantity, Reading};
use node_core::{Board, Command, Config, Delivery, Link, LinkError, RamStore, Readings, Sensors, run};
use semihosting::experimental::time::Instant;
use semihosting::io;
use semihosting::process::exit;

const FIRMWARE: &str = concat!("emulated ", env!("CARGO_PKG_VERSION"));
const SPEED: u64 = 240;
const LAST_FRAME: u32 = 20;

const CONFIG: Config<'_> = Config { interval: 60, heartbeat: 60, ..Config::new(FIRMWARE) };

#[entry]
fn main() -> ! {
    let mut board = Emulator { started: Instant::now(), random: 1 };
    let mut store = RamStore::<32>::new();
    block_on(run(&mut board, &mut Counter(0), &mut Console(0), &mut store, &CONFIG));
    exit(0)
}

struct Emulator {
    started: Instant,
    random: u32,
}

impl Board for Emulator {
    fn uptime_ms(&mut self) -> u64 {
        self.started.elapsed().as_millis() as u64 * SPEED
    }

    async fn sleep_until(&mut self, uptime_ms: u64) {
        while self.uptime_ms() < uptime_ms {
            cortex_m::asm::delay(100_000);
        }
    }

    fn feed_watchdog(&mut self) {}

    /// A linear congruential generator: an emulator has no chance.
    fn random(&mut self) -> u32 {
        self.random = self.random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        self.random >> 8
    }
}

/// Temperature 21.50 °C, and how often it was measured.
struct Counter(i64);

impl Sensors for Counter {
    async fn measure(&mut self, readings: &mut Readings) {
        self.0 += 1;
        let values = [(Quantity::Temperature, 2150), (Quantity::Count, self.0)];
        readings.extend(values.map(|(quantity, raw)| Reading {
            quantity,
            channel: Channel::FIRST,
            raw: Some(raw),
        }));
    }
}

/// How many frames were written.
struct Console(u32);

impl Link for Console {
    fn mtu(&self) -> usize {
        51
    }

    async fn deliver(&mut self, frame: &[u8]) -> Result<Delivery, LinkError> {
        let mut line = heapless::String::<160>::new();
        let mut write = || {
            line.write_str("emulated ")?;
            frame.iter().try_for_each(|byte| write!(line, "{byte:02x}"))?;
            line.write_char('\n')
        };
        write().map_err(|_| LinkError::Refused)?;
        let mut console = io::stdout().map_err(|_| LinkError::Down)?;
        io::Write::write_all(&mut console, line.as_bytes()).map_err(|_| LinkError::Down)?;
        self.0 += 1;
        if self.0 == LAST_FRAME {
            exit(0);
        }
        Ok(Delivery::Sent)
    }

    fn take_command(&mut self) -> Option<Command> {
        None
    }
}
