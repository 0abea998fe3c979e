//! A network with a clock, forwarders and devices whose frames crate `lorawan` makes.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use lorawan::creator::{DataPayloadCreator, JoinRequestCreator};
use lorawan::keys::{AES128, AppKey};
use lorawan::maccommands::SerializableMacCommand;
use lorawan::parser::{DecryptedDataPayload, FCtrl};
use lorawan_link::{
    Abp, Activation, Class, DevAddr, DeviceConfig, DeviceState, DownlinkId, Eui, Key, Network, Now, Otaa,
    Outcome, Output, Reason, Region, Settings, StoreToken, Transmission, TransmissionId, Uplink, UplinkToken,
};
use serde_json::{Value, json};

pub(crate) const NETWORK_KEY: [u8; 16] = [1; 16];
pub(crate) const APP_S_KEY: [u8; 16] = [2; 16];
pub(crate) const APP_KEY: [u8; 16] = [3; 16];
pub(crate) const JOIN_EUI: u64 = 0x70b3_d57e_d000_0001;
/// The address of the first forwarder.
pub(crate) const HERE: u8 = 1;

/// A network and its time.
pub(crate) struct Host {
    pub(crate) network: Network,
    pub(crate) start: Instant,
    /// Since the start.
    pub(crate) millis: u64,
    /// What came out since it was asked for last.
    pub(crate) outputs: Vec<Output>,
    /// Nothing leaves for a forwarder.
    pub(crate) holds_back: bool,
}

/// A frame that a forwarder must send.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Sent {
    pub(crate) gateway: u8,
    pub(crate) token: [u8; 2],
    /// `None`: at once.
    pub(crate) tmst: Option<u32>,
    pub(crate) frequency: f64,
    pub(crate) data_rate: String,
    pub(crate) power: i64,
    pub(crate) phy: Vec<u8>,
}

pub(crate) fn wall() -> Timestamp {
    "2026-11-21T12:00:00Z".parse().unwrap()
}

/// Settings of Europe without what goes out on its own.
pub(crate) fn settings() -> Settings {
    Settings { status_every: None, ..Settings::new(Region::Eu868) }
}

impl Host {
    pub(crate) fn new(settings: Settings) -> Self {
        #[expect(clippy::disallowed_methods, reason = "an instant cannot be made in another way")]
        let start = Instant::now();
        Self { network: Network::new(settings), start, millis: 0, outputs: Vec::new(), holds_back: false }
    }

    pub(crate) fn now(&self) -> Now {
        let since = Duration::from_millis(self.millis);
        Now { instant: self.start + since, wall: wall() + since }
    }

    fn drain(&mut self) {
        while let Some(output) = self.network.poll() {
            if let Output::Transmit(transmission) = &output
                && !self.holds_back
            {
                let now = self.now();
                self.network.transmission_sent(transmission.id, now);
            }
            self.outputs.push(output);
        }
    }

    /// The transmissions that were held back.
    pub(crate) fn held_back(&mut self) -> Vec<Transmission> {
        let of = |output: Output| match output {
            Output::Transmit(transmission) => Some(transmission),
            _ => None,
        };
        self.outputs().into_iter().filter_map(of).collect()
    }

    pub(crate) fn left(&mut self, id: TransmissionId) {
        let now = self.now();
        self.network.transmission_sent(id, now);
    }

    pub(crate) fn withheld(&mut self, id: TransmissionId) {
        let now = self.now();
        self.network.transmission_cancelled(id, now);
        self.drain();
    }

    /// Lets time go by, doing what is due when it is due.
    pub(crate) fn pass(&mut self, millis: u64) {
        let end = self.millis + millis;
        while let Some(due) =
            self.network.next_deadline().map(|due| due.duration_since(self.start).as_millis() as u64)
            && due <= end
        {
            self.millis = self.millis.max(due);
            let now = self.now();
            self.network.timeout(now);
            self.drain();
        }
        self.millis = end;
    }

    pub(crate) fn receive(&mut self, gateway: u8, datagram: &[u8]) {
        let now = self.now();
        self.network.receive(address(gateway), datagram, now);
        self.drain();
    }

    /// A forwarder asks for downlinks.
    pub(crate) fn pull(&mut self, gateway: u8) {
        self.receive(gateway, &datagram(2, gateway, ""));
    }

    /// A forwarder has received a frame with this SNR.
    pub(crate) fn push(&mut self, gateway: u8, phy: &[u8], snr: f64) {
        let rxpk = rxpk(self.tmst(), phy, snr);
        self.receive(gateway, &datagram(0, gateway, &json!({ "rxpk": [rxpk] }).to_string()));
    }

    pub(crate) fn tx_ack(&mut self, sent: &Sent, error: &str) {
        let body = json!({ "txpk_ack": { "error": error } }).to_string();
        let mut datagram = datagram(5, sent.gateway, &body);
        datagram[1..3].copy_from_slice(&sent.token);
        self.receive(sent.gateway, &datagram);
    }

    /// The concentrators' clock, which is about to go round.
    pub(crate) fn tmst(&self) -> u32 {
        u32::MAX.wrapping_sub(2_000_000).wrapping_add((self.millis * 1_000) as u32)
    }

    /// What came out since the last time.
    pub(crate) fn outputs(&mut self) -> Vec<Output> {
        std::mem::take(&mut self.outputs)
    }

    /// The frames that forwarders must send; other outputs stay.
    pub(crate) fn sent(&mut self) -> Vec<Sent> {
        let (sent, rest): (Vec<_>, Vec<_>) =
            self.outputs().into_iter().partition(|output| frame(output).is_some());
        self.outputs = rest;
        sent.iter().filter_map(frame).collect()
    }

    pub(crate) fn only_sent(&mut self) -> Sent {
        let mut sent = self.sent();
        assert_eq!(sent.len(), 1, "one frame and not {sent:?}; {:?}", self.outputs);
        sent.remove(0)
    }

    /// The reported frames of devices.
    pub(crate) fn uplinks(&mut self) -> Vec<Uplink> {
        let of = |output: &Output| match output {
            Output::Uplink(uplink) => Some(Uplink::clone(uplink)),
            _ => None,
        };
        let uplinks = self.outputs.iter().filter_map(of).collect();
        self.outputs.retain(|output| of(output).is_none());
        uplinks
    }

    pub(crate) fn only_uplink(&mut self) -> Uplink {
        let mut uplinks = self.uplinks();
        assert_eq!(uplinks.len(), 1, "one uplink and not {uplinks:?}; {:?}", self.outputs);
        uplinks.remove(0)
    }

    /// Why something was refused.
    pub(crate) fn refusals(&mut self) -> Vec<Reason> {
        let of = |output: &Output| match output {
            Output::Refused { reason, .. } => Some(*reason),
            _ => None,
        };
        let reasons = self.outputs.iter().filter_map(of).collect();
        self.outputs.retain(|output| of(output).is_none());
        reasons
    }

    /// What became of downlinks.
    pub(crate) fn outcomes(&mut self) -> Vec<(DownlinkId, Outcome)> {
        let of = |output: &Output| match output {
            Output::Downlink { id, outcome, .. } => Some((*id, *outcome)),
            _ => None,
        };
        let outcomes = self.outputs.iter().filter_map(of).collect();
        self.outputs.retain(|output| of(output).is_none());
        outcomes
    }

    /// The last state that was to be stored.
    pub(crate) fn stores(&mut self) -> Option<(StoreToken, DeviceState)> {
        let of = |output: &Output| match output {
            Output::Store { token, state } => Some((*token, DeviceState::clone(state))),
            _ => None,
        };
        let last = self.outputs.iter().filter_map(of).next_back();
        self.outputs.retain(|output| of(output).is_none());
        last
    }

    pub(crate) fn taken(&mut self, token: UplinkToken) {
        let now = self.now();
        self.network.uplink_accepted(token, now);
        self.drain();
    }

    pub(crate) fn stored(&mut self, token: StoreToken) {
        let now = self.now();
        self.network.state_stored(token, now);
        self.drain();
    }

    pub(crate) fn send(&mut self, payload: &[u8], confirmed: bool) -> DownlinkId {
        let now = self.now();
        let id = self.network.send(dev_eui(1), 5, payload.to_vec(), confirmed, now).unwrap();
        self.drain();
        id
    }

    /// One forwarder receives a frame, which is reported after the time for other copies.
    pub(crate) fn uplink(&mut self, phy: &[u8]) -> Uplink {
        self.push(HERE, phy, 5.0);
        self.pass(200);
        self.only_uplink()
    }
}

pub(crate) fn address(gateway: u8) -> SocketAddr {
    ([192, 0, 2, gateway], 40_000).into()
}

pub(crate) fn gateway_eui(gateway: u8) -> Eui {
    Eui::from_be_bytes([0xaa, 0x55, 0x5a, 0, 0, 0, 0, gateway])
}

/// A forwarder's datagram.
pub(crate) fn datagram(kind: u8, gateway: u8, body: &str) -> Vec<u8> {
    let mut bytes = vec![2, 0x12, 0x34, kind, 0xaa, 0x55, 0x5a, 0, 0, 0, 0, gateway];
    bytes.extend(body.as_bytes());
    bytes
}

/// A frame as a forwarder writes it.
pub(crate) fn rxpk(tmst: u32, phy: &[u8], snr: f64) -> Value {
    json!({"tmst": tmst, "freq": 868.3, "chan": 1, "stat": 1, "modu": "LORA", "datr": "SF9BW125", "codr": "4/5",
        "rssi": -90, "lsnr": snr, "size": phy.len(), "data": STANDARD.encode(phy)})
}

fn frame(output: &Output) -> Option<Sent> {
    let Output::Transmit(Transmission { to: SocketAddr::V4(to), bytes, .. }) = output else { return None };
    let [2, t0, t1, 3, json @ ..] = &bytes[..] else { return None };
    let txpk = serde_json::from_slice::<Value>(json).unwrap()["txpk"].take();
    let phy = STANDARD.decode(txpk["data"].as_str().unwrap()).unwrap();
    assert_eq!(txpk["size"], phy.len());
    Some(Sent {
        gateway: to.ip().octets()[3],
        token: [*t0, *t1],
        tmst: txpk["tmst"].as_u64().map(|tmst| tmst.try_into().unwrap()),
        frequency: txpk["freq"].as_f64().unwrap(),
        data_rate: txpk["datr"].as_str().unwrap().to_owned(),
        power: txpk["powe"].as_i64().unwrap(),
        phy,
    })
}

pub(crate) fn dev_eui(number: u64) -> Eui {
    Eui::new(0xa840_41ff_ff00_0000 | number)
}

/// An ABP device with an address of its own.
pub(crate) fn abp(number: u8) -> DeviceConfig {
    let activation = Activation::Abp(Abp {
        address: DevAddr::from_le_bytes([number, 0, 0, 0x26]),
        nwk_s_key: Key::new(NETWORK_KEY),
        app_s_key: Key::new(APP_S_KEY),
        last_f_cnt_up: None,
        rx: None,
        resets: false,
    });
    DeviceConfig { dev_eui: dev_eui(number.into()), activation, class: Class::A }
}

pub(crate) fn otaa(number: u64) -> DeviceConfig {
    let otaa = Otaa { join_eui: Eui::new(JOIN_EUI), app_key: Key::new(APP_KEY) };
    DeviceConfig { dev_eui: dev_eui(number), activation: Activation::Otaa(otaa), class: Class::A }
}

/// A network in Europe with a forwarder that listens and the first ABP device.
pub(crate) fn host() -> Host {
    let mut host = Host::new(settings());
    host.network.add(abp(1), None);
    host.pull(HERE);
    host.outputs();
    host
}

/// What is not usual of an uplink.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Up<'a> {
    pub(crate) number: u8,
    pub(crate) f_cnt: u32,
    pub(crate) f_port: u8,
    pub(crate) payload: &'a [u8],
    pub(crate) confirmed: bool,
    /// ADR 0x80, ADRACKReq 0x40, ACK 0x20.
    pub(crate) f_ctrl: u8,
    /// In FOpts, or under port 0.
    pub(crate) commands: &'a [&'a [u8]],
}

impl Default for Up<'_> {
    fn default() -> Self {
        Up { number: 1, f_cnt: 0, f_port: 7, payload: b"21.5", confirmed: false, f_ctrl: 0, commands: &[] }
    }
}

/// A MAC command: its identifier and its content.
struct Command<'a>(&'a [u8]);

impl SerializableMacCommand for Command<'_> {
    fn payload_bytes(&self) -> &[u8] {
        &self.0[1..]
    }

    fn cid(&self) -> u8 {
        self.0[0]
    }

    fn payload_len(&self) -> usize {
        self.0.len() - 1
    }
}

impl Up<'_> {
    pub(crate) fn phy(self) -> Vec<u8> {
        let mut creator = DataPayloadCreator::new();
        creator.set_uplink(true).set_confirmed(self.confirmed).set_dev_addr(&[self.number, 0, 0, 0x26]);
        creator.set_fctrl(&FCtrl::new(self.f_ctrl, true)).set_fcnt(self.f_cnt).set_f_port(self.f_port);
        let commands: Vec<_> = self.commands.iter().map(|bytes| Command(bytes)).collect();
        let commands: Vec<&dyn SerializableMacCommand> =
            commands.iter().map(|command| command as _).collect();
        let payload = if self.f_port == 0 { &[] } else { self.payload };
        creator.build(payload, &commands, &NETWORK_KEY.into(), &APP_S_KEY.into()).unwrap().to_vec()
    }
}

/// The frame with this counter.
pub(crate) fn up(f_cnt: u32) -> Vec<u8> {
    Up { f_cnt, ..Up::default() }.phy()
}

pub(crate) fn confirmed(f_cnt: u32) -> Vec<u8> {
    Up { f_cnt, confirmed: true, ..Up::default() }.phy()
}

pub(crate) fn join_request(number: u64, dev_nonce: u16) -> Vec<u8> {
    let mut request = JoinRequestCreator::new();
    let mut eui = [number as u8, 0, 0, 0xff, 0xff, 0x41, 0x40, 0xa8];
    eui[1] = (number >> 8) as u8;
    request.set_app_eui(&JOIN_EUI.to_le_bytes()).set_dev_eui(&eui).set_dev_nonce(&dev_nonce.to_le_bytes());
    request.build(&AppKey::from(APP_KEY)).to_vec()
}

/// What a device reads: the frame's control byte, its FOpts, and its payload where there is one.
pub(crate) fn read(phy: &[u8], f_cnt: u32) -> (u8, Vec<u8>, Vec<u8>) {
    let keys = (AES128(NETWORK_KEY), AES128(APP_S_KEY));
    let frame =
        DecryptedDataPayload::new(phy.to_vec(), &keys.0, Some(&keys.1), f_cnt).expect("its MIC is right");
    let f_opts = phy[8..8 + usize::from(phy[5] & 15)].to_vec();
    let payload = match frame.frm_payload() {
        lorawan::parser::FRMPayload::Data(data) => data.to_vec(),
        _ => Vec::new(),
    };
    (phy[5], f_opts, payload)
}
