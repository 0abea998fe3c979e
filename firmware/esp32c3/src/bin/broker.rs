//! The ESP-NOW broker on the ESP32-C3 at the gateway's USB port: writes each frame that it receives as one line.
//!
//! It never waits long for a gateway that does not read: then lines are dropped.

#![no_std]
#![no_main]

use embassy_executor::Spawner;
use embassy_time::{Duration, with_timeout};
use embedded_io_async::Write;
use esp_hal::timer::timg::{MwdtStage, TimerGroup};
use esp_hal::usb::usb_serial_jtag::UsbSerialJtag;
use esp_radio::wifi::{ControllerConfig, WifiController};
use esp32c3::config;
use espnow::line;

esp_bootloader_esp_idf::esp_app_desc!();

const WRITE_TIMEOUT: Duration = Duration::from_millis(200);
const FEED_EVERY: Duration = Duration::from_secs(5);
const WATCHDOG: esp_hal::time::Duration = esp_hal::time::Duration::from_secs(30);

#[esp_rtos::main]
async fn main(_spawner: Spawner) {
    let peripherals = esp_hal::init(esp_hal::Config::default());
    esp_alloc::heap_allocator!(size: esp32c3::HEAP);
    let mut watchdog = TimerGroup::new(peripherals.TIMG1).wdt;
    watchdog.set_timeout(MwdtStage::Stage0, WATCHDOG);
    watchdog.enable();
    esp_rtos::start(TimerGroup::new(peripherals.TIMG0).timer0, peripherals.FROM_CPU_INTR0);

    let mut port = UsbSerialJtag::new(peripherals.USB_DEVICE).into_async();
    // Without a radio the watchdog ends in a restart.
    let Ok(controller) = WifiController::new(peripherals.WIFI, ControllerConfig::default()) else { return };
    let mut radio = controller.esp_now();
    if radio.set_channel(config::CHANNEL).is_err() {
        return;
    }
    loop {
        watchdog.feed();
        let Ok(received) = with_timeout(FEED_EVERY, radio.receive_async()).await else { continue };
        if let Some(line) = line(received.info.src_address, received.data()) {
            // An error is a gateway that does not read.
            let _ = with_timeout(WRITE_TIMEOUT, port.write_all(&line)).await;
        }
    }
}
