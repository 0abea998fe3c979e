//! A LoRaWAN network (crate lorawan-link) on what comes one after the other: before each its length, and a byte that
//! says whether it is a datagram, a PHYPayload in one, or the parts of a frame that are put together with the right
//! integrity code; whether the owner answers, and how much time goes by.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use jiff::Timestamp;
use lorawan::creator::DataPayloadCreator;
use lorawan::maccommands::SerializableMacCommand;
use lorawan::parser::FCtrl;
use lorawan_link::{
    Abp, Activation, Class, DevAddr, DeviceConfig, Eui, Key, Network, Now, Otaa, Output, Region, Settings,
    Transmission,
};

const KEY: [u8; 16] = [1; 16];
const DEVICE: Eui = Eui::new(1);

/// Narrow, so that the fuzzer reaches the bounds.
fn network(region: Region) -> Network {
    let settings =
        Settings { gateways: 3, held: 3, transmissions: 3, receivers: 2, queue: 2, ..Settings::new(region) };
    let mut network = Network::new(settings);
    let abp = Abp {
        address: DevAddr::new(0),
        nwk_s_key: Key::new(KEY),
        app_s_key: Key::new(KEY),
        last_f_cnt_up: None,
        rx: None,
        resets: true,
    };
    network.add(DeviceConfig { dev_eui: DEVICE, activation: Activation::Abp(abp), class: Class::A }, None);
    let otaa = Otaa { join_eui: Eui::new(0), app_key: Key::new(KEY) };
    network.add(
        DeviceConfig { dev_eui: Eui::new(2), activation: Activation::Otaa(otaa), class: Class::C },
        None,
    );
    network
}

/// All commands as one, so that any bytes are some.
struct Commands<'a>(u8, &'a [u8]);

impl SerializableMacCommand for Commands<'_> {
    fn payload_bytes(&self) -> &[u8] {
        self.1
    }

    fn cid(&self) -> u8 {
        self.0
    }

    fn payload_len(&self) -> usize {
        self.1.len()
    }
}

/// A frame with the right code: two bytes of counter, FCtrl, port, length of the commands, commands, payload.
fn signed(parts: &[u8], confirmed: bool) -> Option<Vec<u8>> {
    let [low, high, f_ctrl, port, options, rest @ ..] = parts else { return None };
    let (commands, payload) = rest.split_at(usize::from(options % 16).min(rest.len()));
    let payload = if *port == 0 { &[] } else { &payload[..payload.len().min(200)] };
    let mut creator = DataPayloadCreator::new();
    creator.set_uplink(true).set_confirmed(confirmed).set_dev_addr(&[0; 4]);
    creator
        .set_fctrl(&FCtrl::new(f_ctrl & 0xf0, true))
        .set_fcnt(u16::from_le_bytes([*low, *high]).into())
        .set_f_port(*port);
    let commands = commands.split_first().map(|(first, rest)| Commands(*first, rest));
    let commands: Vec<&dyn SerializableMacCommand> = commands.iter().map(|commands| commands as _).collect();
    Some(creator.build(payload, &commands, &KEY.into(), &KEY.into()).ok()?.to_vec())
}

fn push_data(gateway: u8, phy: &[u8]) -> Vec<u8> {
    let mut datagram = vec![2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, gateway];
    let (size, data) = (phy.len(), STANDARD_NO_PAD.encode(phy));
    let json = format!(
        r#"{{"rxpk":[{{"tmst":7,"freq":868.1,"datr":"SF7BW125","rssi":-50,"lsnr":{gateway},"size":{size},"data":"{data}"}}]}}"#
    );
    datagram.extend(json.into_bytes());
    datagram
}

fn drain(network: &mut Network, answers: bool, now: Now) {
    while let Some(output) = network.poll() {
        match output {
            Output::Send { bytes, .. } => assert!(bytes.len() < 700, "{}", bytes.len()),
            Output::Transmit(Transmission { id, bytes, .. }) => {
                assert!(bytes.len() < 700, "{}", bytes.len());
                if answers {
                    network.transmission_sent(id, now)
                } else {
                    network.transmission_cancelled(id, now)
                }
            }
            Output::Store { token, .. } if answers => network.state_stored(token, now),
            Output::Uplink(uplink) => {
                assert!((1..=2).contains(&uplink.receivers.len()));
                if answers {
                    network.uplink_accepted(uplink.token, now);
                }
            }
            _ => {}
        }
    }
}

pub(crate) fn run(data: &[u8]) {
    let Some((region, mut rest)) = data.split_first() else { return };
    let mut network = network(Region::ALL[usize::from(region % 5)]);
    let mut now = Now { instant: Instant::now(), wall: Timestamp::UNIX_EPOCH };
    let from = SocketAddr::from(([192, 0, 2, 1], 1_700));
    network.receive(from, &[2, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 1], now);
    while let [length, how, behind @ ..] = rest {
        let (part, further) = behind.split_at(usize::from(*length).min(behind.len()));
        rest = further;
        let datagram = match how & 0b11 {
            0 => Some(part.to_vec()),
            1 => Some(push_data(how >> 6, part)),
            _ => signed(part, how & 1 == 1).map(|phy| push_data(how >> 6, &phy)),
        };
        if let Some(datagram) = datagram {
            network.receive(from, &datagram, now);
        }
        let answers = how & 0b100 == 0;
        drain(&mut network, answers, now);
        if how & 0b1000 != 0 {
            let device = Eui::new(1 + u64::from(how >> 7));
            let _ = network.send(device, 1, part.to_vec(), how & 0b100 != 0, now);
        }
        let passes = Duration::from_millis([0, 150, 1_100, 100_000][usize::from(how >> 4 & 0b11)]);
        now = Now { instant: now.instant + passes, wall: now.wall + passes };
        network.timeout(now);
        drain(&mut network, answers, now);
        let held = network.memory_use();
        assert!(
            held.gateways <= 3 && held.held <= 3 && held.transmissions <= 3 && held.queued <= 4,
            "{held:?}"
        );
    }
    // A stored state is one that can be read again.
    let state = network.state(DEVICE).expect("a device that was added");
    let stored = serde_json::to_string(state).expect("a state is plain data");
    serde_json::from_str::<lorawan_link::DeviceState>(&stored).expect("the same state");
}
