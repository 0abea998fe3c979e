//! A sensor node on the nRF52840: a BTHome beacon. Starts the hardware and hands it to `node_core::run`; a restart follows
//! whatever ends it.

#![no_std]
#![no_main]

mod board;
mod config;
mod link;
mod radio;

use embassy_executor::Spawner;
use embassy_nrf::bind_interrupts;
use embassy_nrf::peripherals::TWISPI0;
use embassy_nrf::rng::Rng;
use embassy_nrf::twim::{self, Twim};
use embassy_time::Delay;
use node_core::RamStore;
use panic_halt as _;
use static_cell::StaticCell;

use crate::board::Nrf;
use crate::link::BeaconLink;
use crate::radio::Beacons;

bind_interrupts!(struct Interrupts {
    TWISPI0 => twim::InterruptHandler<TWISPI0>;
});

/// A beacon is sent at once and never fails: nothing waits for long.
const RAM_RECORDS: usize = 4;

/// What the drivers send to the sensors, which the bus can take from RAM only.
const BUS_BYTES: usize = 32;
static BUS_BUFFER: StaticCell<[u8; BUS_BYTES]> = StaticCell::new();

#[embassy_executor::main]
async fn main(_spawner: Spawner) {
    let mut settings = embassy_nrf::config::Config::default();
    settings.lfclk_source = config::SLEEP_CLOCK;
    settings.hfclk_source = config::IDLE_CLOCK;
    settings.dcdc.reg1 = config::HAS_CONVERTER;
    let peripherals = embassy_nrf::init(settings);

    let mut random = Rng::new_blocking(peripherals.RNG);
    let mut board = Nrf::new(peripherals.WDT, random.blocking_next_u32());

    let (sda, scl) = config::i2c_pins!(peripherals);
    let buffer = BUS_BUFFER.init([0; BUS_BYTES]);
    let bus = Twim::new(peripherals.TWISPI0, Interrupts, sda, scl, twim::Config::default(), buffer);
    let mut sensors = climate::Climate::new(bus, Delay, config::SENSORS);

    let mut link = BeaconLink::new(Beacons::new(peripherals.RADIO, config::POWER), random);
    let mut store = RamStore::<RAM_RECORDS>::new();
    let _ = node_core::run(&mut board, &mut sensors, &mut link, &mut store, &config::NODE).await;
    cortex_m::peripheral::SCB::sys_reset();
}
