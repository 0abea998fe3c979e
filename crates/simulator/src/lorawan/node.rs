//! A real LoRaWAN node, the crate `lorawan-device`: it has the session and the counters, determines its receive windows, and
//! checks the frames that it receives. Its radio is simulated: sent frames are returned, and a window receives at most one
//! frame.

use lorawan_device::default_crypto::DefaultFactory;
use lorawan_device::mac::Session;
use lorawan_device::nb_device::radio::{
    Event as RadioEvent, PhyRxTx, Response as RadioResponse, RfConfig, RxQuality,
};
use lorawan_device::nb_device::{Device, Event, Response};
use lorawan_device::region::{Configuration, DR};
use lorawan_device::{AppEui, AppKey, AppSKey, DevAddr, DevEui, JoinMode, NewSKey, RngCore, Timings};

use super::identity::Identity;
use super::region::Region;
use super::semtech::Downlink;
use crate::chance::mix;

/// How long a window is open, in ms.
const WINDOW: u32 = 100;
/// The position of a data frame's FCtrl, which has the ACK bit (LoRaWAN 1.0.4, 4.3.1).
const CONTROL: usize = 5;
const ACK: u8 = 0x20;

/// A frame that a node sends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct OnAir {
    /// Hz.
    pub(super) frequency: u32,
    /// As `SF7BW125`.
    pub(super) data_rate: String,
    pub(super) frame: Vec<u8>,
    /// The time of its first receive window, in ms of the same clock.
    pub(super) listens: u32,
}

/// The result of a receive window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Window {
    /// It received nothing; the next window is at this time, in ms.
    Again(u32),
    Joined,
    /// It received a downlink, which may acknowledge its frame.
    Received {
        acknowledged: bool,
    },
    /// It received nothing, and this was the last window.
    Silence,
}

/// A node and its radio.
pub(super) struct Node {
    device: Device<Radio, DefaultFactory, Numbers, 256>,
    identity: Identity,
    region: Region,
    /// For joining, and for data.
    data_rates: (DR, DR),
    /// The session before a confirmed frame.
    before: Option<Session>,
}

impl Node {
    /// `distance` determines the data rate. `entropy` must differ at each start, because a network accepts a DevNonce once.
    pub(super) fn new(identity: Identity, region: Region, distance: usize, entropy: u64) -> Self {
        let plan = Configuration::new(region.plan());
        Self {
            device: Device::new(
                plan,
                Radio::default(),
                Numbers { state: entropy, seven: region.has_seven_channels() },
            ),
            identity,
            region,
            data_rates: (region.join_data_rate(distance), region.data_rate(distance)),
            before: None,
        }
    }

    /// Starts with the session that it was delivered with (ABP).
    pub(super) fn personalize(&mut self) {
        let mode = JoinMode::ABP {
            newskey: NewSKey::from(self.identity.nwk_skey),
            appskey: AppSKey::from(self.identity.app_skey),
            devaddr: DevAddr::from(self.identity.dev_addr.to_le_bytes()),
        };
        // Nothing is sent, so nothing can fail.
        let _ = self.device.join(mode);
    }

    pub(super) fn has_session(&self) -> bool {
        self.device.get_session().is_some()
    }

    /// Makes a join request, which ends the session. `None`: the node is busy.
    pub(super) fn join(&mut self, now: u32) -> Option<OnAir> {
        self.device.get_radio().now = now;
        self.before = None;
        self.device.set_datarate(self.data_rates.0);
        let mode = JoinMode::OTAA {
            deveui: DevEui::from(self.identity.dev_eui.to_le_bytes()),
            appeui: AppEui::from(self.identity.join_eui.to_le_bytes()),
            appkey: AppKey::from(self.identity.app_key),
        };
        let response = self.device.join(mode).ok()?;
        self.on_air(&response)
    }

    /// Makes a frame with the session's next counter. `None`: the node is busy, or has no session.
    pub(super) fn send(&mut self, now: u32, port: u8, payload: &[u8], confirmed: bool) -> Option<OnAir> {
        self.device.get_radio().now = now;
        self.device.set_datarate(self.data_rates.1);
        self.before = self.device.get_session().filter(|_| confirmed).cloned();
        let response = self.device.send(payload, port, confirmed).ok()?;
        self.on_air(&response)
    }

    fn on_air(&mut self, response: &Response) -> Option<OnAir> {
        let (radio, frame) = self.device.get_radio().sent.take()?;
        let Response::TimeoutRequest(listens) = *response else { return None };
        Some(OnAir { frequency: radio.frequency, data_rate: data_rate(&radio), frame, listens })
    }

    /// Opens the window that is due, passes it the frame sent in it, and closes it.
    pub(super) fn window(&mut self, sent: Option<&Downlink>) -> Window {
        let opened = self.device.handle_event(Event::TimeoutFired);
        let listening = self.device.get_radio().listening;
        let received = sent.filter(|sent| {
            listening.is_some_and(|radio| {
                self.region.listens(radio.frequency) == sent.frequency && data_rate(&radio) == sent.data_rate
            })
        });
        let mut response = opened;
        if let Some(sent) = received {
            let event = Event::RadioEvent(RadioEvent::Phy(sent.frame.clone()));
            match self.device.handle_event(event) {
                Ok(Response::JoinSuccess) => return Window::Joined,
                Ok(Response::DownlinkReceived(_)) => return self.spoken(&sent.frame),
                other => response = other,
            }
        }
        if response.is_ok() {
            response = self.device.handle_event(Event::TimeoutFired);
        }
        match response {
            Ok(Response::TimeoutRequest(at)) => Window::Again(at),
            _ => {
                self.take_back();
                Window::Silence
            }
        }
    }

    fn spoken(&mut self, frame: &[u8]) -> Window {
        // Nobody here has a use for what it says; the next one needs the room.
        while self.device.take_downlink().is_some() {}
        let acknowledged = frame.get(CONTROL).is_some_and(|control| control & ACK != 0);
        if !acknowledged {
            self.take_back();
        }
        Window::Received { acknowledged }
    }

    /// An unacknowledged frame is sent again with the same counter, but the crate `lorawan-device` has increased it.
    fn take_back(&mut self) {
        if let (Some(before), Some(now)) = (self.before.take(), self.device.get_session()) {
            let fcnt_down = now.fcnt_down;
            self.device.set_session(Session { fcnt_down, ..before });
        }
    }
}

fn data_rate(radio: &RfConfig) -> String {
    format!("SF{}BW{}", radio.bb.sf.factor(), radio.bb.bw.hz() / 1_000)
}

#[derive(Debug, Default)]
struct Radio {
    now: u32,
    sent: Option<(RfConfig, Vec<u8>)>,
    listening: Option<RfConfig>,
    received: Vec<u8>,
}

impl PhyRxTx for Radio {
    type PhyEvent = Vec<u8>;
    type PhyError = ();
    type PhyResponse = ();

    const MAX_RADIO_POWER: u8 = 14;

    fn get_mut_radio(&mut self) -> &mut Self {
        self
    }

    fn get_received_packet(&mut self) -> &mut [u8] {
        &mut self.received
    }

    fn handle_event(&mut self, event: RadioEvent<'_, Self>) -> Result<RadioResponse<Self>, ()> {
        Ok(match event {
            RadioEvent::TxRequest(config, bytes) => {
                self.sent = Some((config.rf, bytes.to_vec()));
                RadioResponse::TxDone(self.now)
            }
            RadioEvent::RxRequest(config) => {
                self.listening = Some(config);
                RadioResponse::Rxing
            }
            RadioEvent::CancelRx => {
                self.listening = None;
                RadioResponse::Idle
            }
            RadioEvent::Phy(bytes) => {
                self.received = bytes;
                RadioResponse::RxDone(RxQuality::new(-80, 5))
            }
        })
    }
}

impl Timings for Radio {
    fn get_rx_window_offset_ms(&self) -> i32 {
        0
    }

    fn get_rx_window_duration_ms(&self) -> u32 {
        WINDOW
    }
}

/// Numbers that differ, which is all that DevNonces and the choice of a channel need.
struct Numbers {
    state: u64,
    /// None ends in the bits 111, see [`Region::has_seven_channels`].
    seven: bool,
}

impl RngCore for Numbers {
    fn next_u32(&mut self) -> u32 {
        let number = (self.next_u64() >> 32) as u32;
        if self.seven && number & 7 == 7 { number ^ 4 } else { number }
    }

    fn next_u64(&mut self) -> u64 {
        self.state = mix(self.state);
        self.state
    }

    fn fill_bytes(&mut self, bytes: &mut [u8]) {
        bytes.fill_with(|| self.next_u64().to_be_bytes()[0]);
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), rand_core::Error> {
        self.fill_bytes(bytes);
        Ok(())
    }
}
