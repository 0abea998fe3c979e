//! A node's frames as BTHome advertisements. Nobody acknowledges them, and there are no commands.

use bthome::Beacon;
use embassy_nrf::mode::Blocking;
use embassy_nrf::rng::Rng;
use embassy_time::Timer;
use node_core::{Command, Delivery, Link, LinkError};

use crate::config::REPEATS;
use crate::radio::Beacons;

/// Milliseconds between two advertisements; up to 10 ms more, by chance, so that two nodes do not always meet.
const BETWEEN_MS: u64 = 100;
/// In how many reports the image's version is told once.
const VERSION_EVERY: u32 = 60;

/// The link.
pub(crate) struct BeaconLink {
    radio: Beacons,
    beacon: Beacon,
    random: Rng<'static, Blocking>,
    reports: u32,
}

impl BeaconLink {
    pub(crate) fn new(radio: Beacons, mut random: Rng<'static, Blocking>) -> Self {
        let beacon = Beacon::new(random.blocking_next_u32() as u8);
        Self { radio, beacon, random, reports: 0 }
    }

    async fn repeat(&mut self, advertisement: &[u8]) {
        for _ in 0..REPEATS {
            self.radio.send(advertisement);
            let jitter = u64::from(self.random.blocking_next_u32() % 10);
            Timer::after_millis(BETWEEN_MS + jitter).await;
        }
    }
}

impl Link for BeaconLink {
    fn mtu(&self) -> usize {
        node_core::wire::MIN_MTU
    }

    async fn deliver(&mut self, frame: &[u8]) -> Result<Delivery, LinkError> {
        let encoded = self.beacon.frame(frame).map_err(|_| LinkError::Refused)?;
        for advertisement in &encoded.advertisements {
            self.repeat(advertisement).await;
        }
        // The node's announcement has no readings.
        if encoded.advertisements.is_empty() || self.reports.is_multiple_of(VERSION_EVERY) {
            let advertisement = self.beacon.firmware(version());
            self.repeat(&advertisement).await;
        }
        self.reports = self.reports.wrapping_add(1);
        Ok(Delivery::Sent)
    }

    fn take_command(&mut self) -> Option<Command> {
        None
    }
}

fn version() -> [u8; 3] {
    let mut numbers = env!("CARGO_PKG_VERSION").split('.').map(|number| number.parse().unwrap_or_default());
    core::array::from_fn(|_| numbers.next().unwrap_or_default())
}
