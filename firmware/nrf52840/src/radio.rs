//! Advertisements that nobody can connect to (ADV_NONCONN_IND of the Bluetooth Core Specification, volume 6, part B), sent
//! with the chip's radio and no Bluetooth stack. Nothing is received.

use core::sync::atomic::{Ordering, compiler_fence};

use embassy_nrf::Peri;
use embassy_nrf::pac::radio::vals;
use embassy_nrf::pac::{CLOCK, FICR, RADIO};
use embassy_nrf::peripherals;
use embassy_nrf::radio::TxPower;

/// Channel, and its frequency above 2400 MHz.
const CHANNELS: [(u8, u8); 3] = [(37, 2), (38, 26), (39, 80)];
/// The address that all advertisements have.
const ACCESS_ADDRESS: u32 = 0x8e89_bed6;
const CRC_POLYNOMIAL: u32 = 0x0000_065b;
const CRC_START: u32 = 0x0055_5555;
/// ADV_NONCONN_IND, from a random address.
const HEADER: u8 = 0x42;
const ADDRESS: usize = 6;
/// Header, length, address, and 31 bytes.
const LONGEST: usize = 2 + ADDRESS + bthome::MAX_ADVERTISEMENT;

/// The radio.
pub(crate) struct Beacons {
    _radio: Peri<'static, peripherals::RADIO>,
    packet: [u8; LONGEST],
}

impl Beacons {
    pub(crate) fn new(radio: Peri<'static, peripherals::RADIO>, power: TxPower) -> Self {
        RADIO.mode().write(|w| w.set_mode(vals::Mode::Ble1mbit));
        RADIO.txpower().write(|w| w.set_txpower(power));
        RADIO.base0().write_value(ACCESS_ADDRESS << 8);
        RADIO.prefix0().write(|w| w.set_ap0(ACCESS_ADDRESS.to_be_bytes()[0]));
        RADIO.txaddress().write(|w| w.set_txaddress(0));
        RADIO.pcnf0().write(|w| {
            w.set_s0len(true);
            w.set_lflen(8);
        });
        RADIO.pcnf1().write(|w| {
            w.set_maxlen((LONGEST - 2) as u8);
            w.set_balen(3);
            w.set_endian(vals::Endian::Little);
            w.set_whiteen(true);
        });
        RADIO.crccnf().write(|w| {
            w.set_len(vals::Len::Three);
            w.set_skipaddr(vals::Skipaddr::Skip);
        });
        RADIO.crcpoly().write(|w| w.set_crcpoly(CRC_POLYNOMIAL));
        RADIO.crcinit().write(|w| w.set_crcinit(CRC_START));
        RADIO.shorts().write(|w| {
            w.set_ready_start(true);
            w.set_end_disable(true);
        });
        Self { _radio: radio, packet: [0; LONGEST] }
    }

    /// Sends an advertisement once on each channel; takes 2 ms.
    pub(crate) fn send(&mut self, advertisement: &[u8]) {
        let length = advertisement.len().min(bthome::MAX_ADVERTISEMENT);
        let bytes = [HEADER, (ADDRESS + length) as u8]
            .into_iter()
            .chain(address())
            .chain(advertisement.iter().copied());
        for (to, from) in self.packet.iter_mut().zip(bytes) {
            *to = from;
        }
        // The radio needs the crystal, which would take 0.25 mA if it ran on.
        CLOCK.events_hfclkstarted().write_value(0);
        CLOCK.tasks_hfclkstart().write_value(1);
        while CLOCK.events_hfclkstarted().read() == 0 {}
        for (channel, frequency) in CHANNELS {
            self.send_on(channel, frequency);
        }
        CLOCK.tasks_hfclkstop().write_value(1);
    }

    fn send_on(&mut self, channel: u8, frequency: u8) {
        RADIO.frequency().write(|w| w.set_frequency(frequency));
        RADIO.datawhiteiv().write(|w| w.set_datawhiteiv(channel));
        // The radio reads the packet by itself: it stays borrowed until the radio is off again. A radio that never ends keeps
        // the node here until the watchdog restarts it.
        RADIO.packetptr().write_value(self.packet.as_ptr().addr() as u32);
        RADIO.events_disabled().write_value(0);
        compiler_fence(Ordering::SeqCst);
        RADIO.tasks_txen().write_value(1);
        while RADIO.events_disabled().read() == 0 {}
        compiler_fence(Ordering::SeqCst);
    }
}

/// The chip's own random address, which stays the same: its two highest bits are 1.
fn address() -> [u8; ADDRESS] {
    let [a, b, c, d] = FICR.deviceaddr(0).read().to_le_bytes();
    let [e, f, ..] = FICR.deviceaddr(1).read().to_le_bytes();
    [a, b, c, d, e, f | 0xc0]
}
