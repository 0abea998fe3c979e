//! A sensor node on the ESP32-C3 that sends over ESP-NOW. Starts the hardware and hands it to `node_core::run`.

#![no_std]
#![no_main]

use climate::Climate;
use embassy_embedded_hal::adapter::BlockingAsync;
use embassy_executor::Spawner;
use embassy_time::Delay;
use esp_hal::i2c::master::{Config as I2cConfig, I2c};
use esp_hal::timer::timg::TimerGroup;
use esp_storage::FlashStorage;
use esp32c3::board::Esp32C3;
use esp32c3::config;
use esp32c3::link::EspNowLink;
use node_core::{FlashStore, RamStore};

esp_bootloader_esp_idf::esp_app_desc!();

/// Reports that wait in RAM where the flash does not work.
const RAM_RECORDS: usize = 32;

#[esp_rtos::main]
async fn main(_spawner: Spawner) {
    let peripherals = esp_hal::init(esp_hal::Config::default());
    esp_alloc::heap_allocator!(size: esp32c3::HEAP);
    let mut board = Esp32C3::start(TimerGroup::new(peripherals.TIMG1).wdt);
    let sleep = esp_rtos::sleep::configure(peripherals.LPWR);
    let timer = TimerGroup::new(peripherals.TIMG0).timer0;
    esp_rtos::start_with_idle_hook(timer, peripherals.FROM_CPU_INTR0, sleep.light_sleep_hook);

    let (sda, scl) = esp32c3::i2c_pins!(peripherals);
    // The default configuration is a valid one.
    let Ok(bus) = I2c::new(peripherals.I2C0, I2cConfig::default()) else { return };
    // Blocking: a processor that waits for the bus would sleep, and the bus with it.
    let bus = BlockingAsync::new(bus.with_sda(sda).with_scl(scl));
    let mut sensors = Climate::new(bus, Delay, config::SENSORS);
    let mut link = EspNowLink::new(peripherals.WIFI);

    let flash = BlockingAsync::new(FlashStorage::new(peripherals.FLASH));
    let _ = match FlashStore::open(flash, config::STORE).await {
        Ok(mut store) => node_core::run(&mut board, &mut sensors, &mut link, &mut store, &config::NODE).await,
        Err(_) => {
            let mut store = RamStore::<RAM_RECORDS>::new();
            node_core::run(&mut board, &mut sensors, &mut link, &mut store, &config::NODE).await
        }
    };
    esp_hal::system::software_reset();
}
