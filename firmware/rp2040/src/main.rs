//! A sensor node on the Raspberry Pi Pico W. Starts the hardware and hands it to `node_core::run`; a restart follows whatever
//! ends it.

#![no_std]
#![no_main]

mod board;
mod coap;
mod config;
mod link;
mod mqtt;
mod net;

use embassy_embedded_hal::adapter::{BlockingAsync, YieldingAsync};
use embassy_executor::Spawner;
use embassy_rp::bind_interrupts;
use embassy_rp::clocks::RoscRng;
use embassy_rp::flash::Flash;
use embassy_rp::i2c::{self, I2c};
use embassy_rp::peripherals::{DMA_CH0, I2C0, PIO0};
use embassy_rp::watchdog::Watchdog;
use embassy_rp::{dma, pio};
use embassy_time::Delay;
use node_core::{FlashStore, RamStore};
use panic_halt as _;

use crate::board::Pico;
use crate::link::WifiLink;

bind_interrupts!(pub(crate) struct Interrupts {
    I2C0_IRQ => i2c::InterruptHandler<I2C0>;
    PIO0_IRQ_0 => pio::InterruptHandler<PIO0>;
    DMA_IRQ_0 => dma::InterruptHandler<DMA_CH0>;
});

/// Reports that wait in RAM where the flash does not work.
const RAM_RECORDS: usize = 32;

#[embassy_executor::main]
async fn main(spawner: Spawner) {
    let peripherals = embassy_rp::init(embassy_rp::config::Config::default());
    // Before the radio: its start may hang.
    board::start_watchdog(spawner, Watchdog::new(peripherals.WATCHDOG));

    let (scl, sda) = config::i2c_pins!(peripherals);
    let bus = I2c::new_async(peripherals.I2C0, scl, sda, Interrupts, i2c::Config::default());
    let mut sensors = climate::Climate::new(bus, Delay, config::SENSORS);

    let flash: Flash<'_, _, _, { config::FLASH_BYTES }> = Flash::new_blocking(peripherals.FLASH);
    let range = (config::FLASH_BYTES - config::STORE_BYTES) as u32..config::FLASH_BYTES as u32;
    // Yields between pages: an erased store takes longer than the watchdog waits.
    let store = FlashStore::open(YieldingAsync::new(BlockingAsync::new(flash)), range).await;

    let radio = net::Radio {
        power: peripherals.PIN_23,
        data: peripherals.PIN_24,
        select: peripherals.PIN_25,
        clock: peripherals.PIN_29,
        pio: peripherals.PIO0,
        dma: peripherals.DMA_CH0,
    };
    let network = net::start(spawner, radio).await;
    let mut link = WifiLink::new(network, config::PROTOCOL);

    let mut pico = Pico::new(RoscRng);
    let _ = match store {
        Ok(mut store) => node_core::run(&mut pico, &mut sensors, &mut link, &mut store, &config::NODE).await,
        Err(_) => {
            let mut store = RamStore::<RAM_RECORDS>::new();
            node_core::run(&mut pico, &mut sensors, &mut link, &mut store, &config::NODE).await
        }
    };
    cortex_m::peripheral::SCB::sys_reset();
}
