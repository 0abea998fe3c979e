//! A real node (crate `lorawan-device`) whose radio is this test: it receives the frames that a forwarder must send, if it
//! listens at that time, at that frequency and at that speed.

use lorawan_device::nb_device::radio::{
    Event as RadioEvent, PhyRxTx, Response as RadioResponse, RfConfig, RxQuality,
};
use lorawan_device::nb_device::{Device, Event, Response};
use lorawan_device::region::{Configuration, Region};
use lorawan_device::{AppEui, AppKey, DevEui, JoinMode, RngCore, Timings, default_crypto::DefaultFactory};

use crate::support::{APP_KEY, HERE, Host, JOIN_EUI, Sent, datagram, dev_eui, rxpk};

/// How long a window is open, in milliseconds.
const WINDOW: u32 = 500;

#[derive(Debug, Default)]
pub(crate) struct Radio {
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

/// Numbers that differ, which is all a node needs.
pub(crate) struct Numbers(u32);

impl RngCore for Numbers {
    fn next_u32(&mut self) -> u32 {
        self.0 = self.0.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        self.0 >> 8
    }

    fn next_u64(&mut self) -> u64 {
        u64::from(self.next_u32()) << 32 | u64::from(self.next_u32())
    }

    fn fill_bytes(&mut self, bytes: &mut [u8]) {
        bytes.fill_with(|| self.next_u32() as u8);
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), rand_core::Error> {
        self.fill_bytes(bytes);
        Ok(())
    }
}

pub(crate) struct Node(Device<Radio, DefaultFactory, Numbers, 256>);

impl Node {
    pub(crate) fn new() -> Self {
        Self(Device::new(Configuration::new(Region::EU868), Radio::default(), Numbers(7)))
    }

    /// Joins; returns whether it succeeded. The host stores all states.
    pub(crate) fn join(&mut self, host: &mut Host) -> bool {
        let mut eui = [0, 0, 0, 0xff, 0xff, 0x41, 0x40, 0xa8];
        eui[0] = 1;
        assert_eq!(lorawan_link::Eui::from_le_bytes(eui), dev_eui(1));
        self.0.get_radio().now = host.millis as u32;
        let mode = JoinMode::OTAA {
            deveui: DevEui::from(eui),
            appeui: AppEui::from(JOIN_EUI.to_le_bytes()),
            appkey: AppKey::from(APP_KEY),
        };
        let response = self.0.join(mode).expect("a radio that works");
        matches!(self.listen(host, response), Response::JoinSuccess)
    }

    /// Sends a frame, and returns what it receives in both windows. The host accepts all uplinks.
    pub(crate) fn send(&mut self, host: &mut Host, payload: &[u8], confirmed: bool) -> Response {
        self.0.get_radio().now = host.millis as u32;
        let response = self.0.send(payload, 7, confirmed).expect("a radio that works");
        self.listen(host, response)
    }

    pub(crate) fn downlink(&mut self) -> Option<(u8, Vec<u8>)> {
        self.0.take_downlink().map(|downlink| (downlink.fport, downlink.data.to_vec()))
    }

    /// Passes the node's frame on; then its windows open and close.
    fn listen(&mut self, host: &mut Host, response: Response) -> Response {
        let (radio, phy) = self.0.get_radio().sent.take().expect("it has sent");
        let end = host.tmst();
        let sent_at = host.millis;
        let mut frame = rxpk(end, &phy, 5.0);
        frame["freq"] = (f64::from(radio.frequency) / 1e6).into();
        frame["datr"] = data_rate(&radio).into();
        host.receive(HERE, &datagram(0, HERE, &serde_json::json!({ "rxpk": [frame] }).to_string()));
        host.pass(200);
        if let Some((token, _)) = host.stores() {
            host.stored(token);
        }
        for token in host.outputs.iter().filter_map(uplink_token).collect::<Vec<_>>() {
            host.taken(token);
        }
        let on_air = host.sent();
        for sent in &on_air {
            host.tx_ack(sent, "NONE");
        }
        let mut response = response;
        // Both windows open and close, or a frame ends it.
        while let Response::TimeoutRequest(at) = response {
            host.pass(u64::from(at).saturating_sub(host.millis));
            self.0.get_radio().now = at;
            response = self.0.handle_event(Event::TimeoutFired).expect("a radio that works");
            let Some(listening) = self.0.get_radio().listening else { continue };
            let received = on_air.iter().find(|sent| hears(&listening, u64::from(at) - sent_at, sent, end));
            if let Some(sent) = received {
                let event = Event::RadioEvent(RadioEvent::Phy(sent.phy.clone()));
                response = self.0.handle_event(event).expect("a radio that works");
            }
        }
        response
    }
}

fn uplink_token(output: &lorawan_link::Output) -> Option<lorawan_link::UplinkToken> {
    match output {
        lorawan_link::Output::Uplink(uplink) => Some(uplink.token),
        _ => None,
    }
}

fn data_rate(radio: &RfConfig) -> String {
    format!("SF{}BW{}", radio.bb.sf.factor(), radio.bb.bw.hz() / 1_000)
}

/// Whether a window that opens so many milliseconds after the uplink's end is the one that a frame is sent in.
fn hears(listening: &RfConfig, opens: u64, sent: &Sent, end: u32) -> bool {
    let after = u64::from(sent.tmst.expect("not at once").wrapping_sub(end)) / 1_000;
    let frequency = (sent.frequency * 1e6).round() as u32;
    after == opens && frequency == listening.frequency && data_rate(listening) == sent.data_rate
}
