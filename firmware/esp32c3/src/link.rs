//! Frames over ESP-NOW to the broker. The radio is on for a delivery only.
//!
//! The broker's radio acknowledges a frame; whether the gateway got it is not known, for the serial port has no
//! acknowledgements. Commands do not come back.

use embassy_time::{Duration, Timer};
use esp_hal::peripherals::WIFI;
use esp_radio::esp_now::{ESP_NOW_MAX_DATA_LEN_V1, EspNow, EspNowError, EspNowWifiInterface, PeerInfo};
use esp_radio::wifi::{ControllerConfig, WifiController};
use node_core::{Command, Delivery, Link, LinkError};

use crate::config;

const TRIES: u32 = 3;
const BETWEEN_TRIES: Duration = Duration::from_millis(20);

/// The way to the broker.
pub struct EspNowLink {
    radio: WIFI<'static>,
}

impl EspNowLink {
    /// The radio stays off until a frame is to be sent.
    #[must_use]
    pub const fn new(radio: WIFI<'static>) -> Self {
        Self { radio }
    }
}

impl Link for EspNowLink {
    fn mtu(&self) -> usize {
        ESP_NOW_MAX_DATA_LEN_V1
    }

    async fn deliver(&mut self, frame: &[u8]) -> Result<Delivery, LinkError> {
        let controller = WifiController::new(self.radio.reborrow(), ControllerConfig::default())
            .map_err(|_| LinkError::Down)?;
        let mut radio = controller.esp_now();
        add_broker(&radio).map_err(|_| LinkError::Down)?;
        for _ in 0..TRIES {
            // Not under a time limit: the radio's library always answers, and must not be left while it sends.
            if radio.send_async(&config::BROKER, frame).await.is_ok() {
                return Ok(Delivery::Sent);
            }
            Timer::after(BETWEEN_TRIES).await;
        }
        Err(LinkError::Down)
    }

    fn take_command(&mut self) -> Option<Command> {
        None
    }
}

fn add_broker(radio: &EspNow) -> Result<(), EspNowError> {
    radio.set_channel(config::CHANNEL)?;
    radio.add_peer(PeerInfo {
        interface: EspNowWifiInterface::Station,
        peer_address: config::BROKER,
        lmk: None,
        channel: Some(config::CHANNEL),
        encrypt: false,
    })
}
