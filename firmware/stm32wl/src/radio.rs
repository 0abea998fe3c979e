//! The STM32WL's radio as `lora-phy` wants it: its bus inside the chip, the antenna switch, its interrupt.
//!
//! The interrupt stays masked and its pending bit is looked at every other millisecond: that needs no handler, and a node
//! waits for its radio a few seconds a day.

use embassy_stm32::gpio::Output;
use embassy_stm32::interrupt::{self, InterruptExt};
use embassy_stm32::mode::Async;
use embassy_stm32::pac;
use embassy_stm32::spi::mode::Master;
use embassy_stm32::spi::{self, Spi};
use embassy_time::{Duration, Instant, Timer};
use embedded_hal_async::spi::{ErrorType, Operation, SpiBus, SpiDevice};
use lora_phy::DelayNs;
use lora_phy::mod_params::RadioError;
use lora_phy::mod_traits::InterfaceVariant;

const LOOK_EVERY: Duration = Duration::from_millis(2);
/// The longest wait is for a frame of 255 bytes at SF12.
const LONGEST_EVENT: Duration = Duration::from_secs(12);
/// Starting from sleep takes the radio a few milliseconds.
const LONGEST_BUSY: Duration = Duration::from_millis(200);

/// The bus, with the radio's chip select, which is a register.
pub(crate) struct RadioBus(pub(crate) Spi<'static, Async, Master>);

impl ErrorType for RadioBus {
    type Error = spi::Error;
}

impl RadioBus {
    async fn run(&mut self, operations: &mut [Operation<'_, u8>]) -> Result<(), spi::Error> {
        for operation in operations {
            match operation {
                Operation::Read(bytes) => SpiBus::read(&mut self.0, bytes).await?,
                Operation::Write(bytes) => SpiBus::write(&mut self.0, bytes).await?,
                Operation::Transfer(read, write) => SpiBus::transfer(&mut self.0, read, write).await?,
                Operation::TransferInPlace(bytes) => SpiBus::transfer_in_place(&mut self.0, bytes).await?,
                Operation::DelayNs(ns) => Timer::after_nanos(u64::from(*ns)).await,
            }
        }
        SpiBus::<u8>::flush(&mut self.0).await
    }
}

impl SpiDevice for RadioBus {
    async fn transaction(&mut self, operations: &mut [Operation<'_, u8>]) -> Result<(), spi::Error> {
        pac::PWR.subghzspicr().modify(|w| w.set_nss(false));
        let result = self.run(operations).await;
        // Also after an error: the radio must see the end of the command.
        pac::PWR.subghzspicr().modify(|w| w.set_nss(true));
        result
    }
}

/// The rest of the wiring.
pub(crate) struct RadioPins {
    receive: Output<'static>,
    send: Output<'static>,
}

impl RadioPins {
    pub(crate) const fn new(receive: Output<'static>, send: Output<'static>) -> Self {
        Self { receive, send }
    }
}

impl InterfaceVariant for RadioPins {
    async fn reset(&mut self, delay: &mut impl DelayNs) -> Result<(), RadioError> {
        pac::RCC.csr().modify(|w| w.set_rfrst(true));
        delay.delay_ms(1).await;
        pac::RCC.csr().modify(|w| w.set_rfrst(false));
        interrupt::SUBGHZ_RADIO.unpend();
        Ok(())
    }

    async fn wait_on_busy(&mut self) -> Result<(), RadioError> {
        let end = Instant::now() + LONGEST_BUSY;
        while pac::PWR.sr2().read().rfbusys() {
            if Instant::now() > end {
                return Err(RadioError::Busy);
            }
        }
        Ok(())
    }

    async fn await_irq(&mut self) -> Result<(), RadioError> {
        let end = Instant::now() + LONGEST_EVENT;
        while !interrupt::SUBGHZ_RADIO.is_pending() {
            if Instant::now() > end {
                return Err(RadioError::Irq);
            }
            Timer::after(LOOK_EVERY).await;
        }
        // It comes back by itself while the radio has an event that nobody has read.
        interrupt::SUBGHZ_RADIO.unpend();
        Ok(())
    }

    async fn enable_rf_switch_rx(&mut self) -> Result<(), RadioError> {
        self.send.set_low();
        self.receive.set_high();
        Ok(())
    }

    async fn enable_rf_switch_tx(&mut self) -> Result<(), RadioError> {
        self.receive.set_low();
        self.send.set_high();
        Ok(())
    }

    async fn disable_rf_switch(&mut self) -> Result<(), RadioError> {
        self.receive.set_low();
        self.send.set_low();
        Ok(())
    }
}
