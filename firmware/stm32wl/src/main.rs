//! A sensor node on the LoRa-E5 mini. Starts the hardware and hands it to `node_core::run`; a restart follows whatever ends it.

#![no_std]
#![no_main]

mod board;
mod config;
mod radio;
mod timer;

use defmt_rtt as _;
use embassy_embedded_hal::adapter::{BlockingAsync, YieldingAsync};
use embassy_executor::Spawner;
use embassy_stm32::flash::Flash;
use embassy_stm32::gpio::{Level, Output, Speed};
use embassy_stm32::i2c::{self, I2c};
use embassy_stm32::peripherals::{DMA1_CH1, DMA1_CH2, DMA1_CH3, DMA1_CH4, I2C2, RNG};
use embassy_stm32::rng::{self, Rng};
use embassy_stm32::spi::Spi;
use embassy_stm32::{bind_interrupts, dma, rcc};
use embassy_time::Delay;
use lora_phy::LoRa;
use lora_phy::lorawan_radio::LorawanRadio;
use lora_phy::sx126x::{self, Stm32wl as Variant, Sx126x, TcxoCtrlVoltage};
use node_core::{FlashStore, RamStore};
use node_lorawan::LorawanLink;
use panic_halt as _;

use crate::board::Stm32wl;
use crate::radio::{RadioBus, RadioPins};
use crate::timer::WindowTimer;

bind_interrupts!(struct Interrupts {
    I2C2_EV => i2c::EventInterruptHandler<I2C2>;
    I2C2_ER => i2c::ErrorInterruptHandler<I2C2>;
    RNG => rng::InterruptHandler<RNG>;
    DMA1_CHANNEL1 => dma::InterruptHandler<DMA1_CH1>;
    DMA1_CHANNEL2 => dma::InterruptHandler<DMA1_CH2>;
    DMA1_CHANNEL3 => dma::InterruptHandler<DMA1_CH3>;
    DMA1_CHANNEL4 => dma::InterruptHandler<DMA1_CH4>;
});

/// Reports that wait in RAM where the flash does not work.
const RAM_RECORDS: usize = 32;

/// The clocks: 16 MHz while awake, and the watch crystal, by which the node keeps time while all else stops.
fn clocks() -> embassy_stm32::Config {
    let mut config = embassy_stm32::Config::default();
    config.rcc.ls = rcc::LsConfig::default_lse();
    config.rcc.msi = Some(rcc::MSIRange::RANGE16M);
    config.rcc.sys = rcc::Sysclk::MSI;
    config.rcc.mux.lptim1sel = rcc::mux::Lptimsel::LSE;
    config.rcc.mux.rngsel = rcc::mux::Rngsel::MSI;
    // A probe that stays attached in sleep costs more than the node.
    config.enable_debug_during_sleep = false;
    config
}

#[embassy_executor::main(executor = "embassy_stm32::executor::Executor", entry = "cortex_m_rt::entry")]
async fn main(spawner: Spawner) {
    let peripherals = embassy_stm32::init(clocks());
    board::start_watchdog(spawner, peripherals.IWDG);

    // Used once: a running generator keeps the chip from stopping its clocks.
    let mut random = Rng::new(peripherals.RNG, Interrupts);
    let (seed, chance) = (random.next_u64(), random.next_u32());
    drop(random);

    let (scl, sda) = config::i2c_pins!(peripherals);
    let (send, receive) = (peripherals.DMA1_CH3, peripherals.DMA1_CH4);
    let bus = I2c::new(peripherals.I2C2, scl, sda, send, receive, Interrupts, i2c::Config::default());
    let mut sensors = climate::Climate::new(bus, Delay, config::SENSORS);

    let range = config::FLASH_BYTES - config::STORE_BYTES..config::FLASH_BYTES;
    let flash = Flash::new_blocking(peripherals.FLASH);
    let store = FlashStore::open(YieldingAsync::new(BlockingAsync::new(flash)), range).await;

    let (receive, send) = config::antenna_pins!(peripherals);
    let pins = RadioPins::new(
        Output::new(receive, Level::Low, Speed::Low),
        Output::new(send, Level::Low, Speed::Low),
    );
    let bus = Spi::new_subghz(peripherals.SUBGHZSPI, peripherals.DMA1_CH1, peripherals.DMA1_CH2, Interrupts);
    let settings = sx126x::Config {
        chip: Variant { use_high_power_pa: true },
        tcxo_ctrl: Some(TcxoCtrlVoltage::Ctrl1V7),
        use_dcdc: true,
        rx_boost: false,
    };
    let Ok(lora) = LoRa::new(Sx126x::new(RadioBus(bus), pins, settings), true, Delay).await else {
        // Nothing to do without a radio but to try again.
        cortex_m::peripheral::SCB::sys_reset();
    };
    let radio: LorawanRadio<_, _, { config::POWER }> = lora.into();
    let mut link = LorawanLink::new(radio, WindowTimer::new(), seed, config::CREDENTIALS, config::LORAWAN);

    let mut board = Stm32wl::new(chance);
    let _ = match store {
        Ok(mut store) => node_core::run(&mut board, &mut sensors, &mut link, &mut store, &config::NODE).await,
        Err(_) => {
            let mut store = RamStore::<RAM_RECORDS>::new();
            node_core::run(&mut board, &mut sensors, &mut link, &mut store, &config::NODE).await
        }
    };
    cortex_m::peripheral::SCB::sys_reset();
}
