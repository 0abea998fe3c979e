//! Semtech's packet forwarder protocol, version 2, as the forwarder speaks it (PROTOCOL.TXT of Lora-net/packet_forwarder).

use base64::Engine as _;
use base64::alphabet::STANDARD as ALPHABET;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde::{Deserialize, Serialize};

const VERSION: u8 = 2;
const PUSH_DATA: u8 = 0;
const PUSH_ACK: u8 = 1;
const PULL_DATA: u8 = 2;
const PULL_RESP: u8 = 3;
const PULL_ACK: u8 = 4;
const TX_ACK: u8 = 5;

/// Servers write it with padding and without.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &ALPHABET,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// A frame that a forwarder received.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct ReceivedFrame {
    /// The forwarder's own clock at the frame's end, in µs.
    pub(super) tmst: u32,
    /// RFC 3339.
    pub(super) time: String,
    /// Hz.
    pub(super) frequency: u32,
    /// As `SF7BW125`.
    pub(super) data_rate: String,
    /// dBm, dB.
    pub(super) rssi: i32,
    pub(super) snr: f64,
    pub(super) frame: Vec<u8>,
}

#[derive(Serialize)]
struct PushData<'a> {
    rxpk: [RxPk<'a>; 1],
}

#[derive(Serialize)]
struct RxPk<'a> {
    time: &'a str,
    tmst: u32,
    freq: f64,
    chan: u8,
    rfch: u8,
    stat: i8,
    modu: &'a str,
    datr: &'a str,
    codr: &'a str,
    rssi: i32,
    lsnr: f64,
    size: usize,
    data: String,
}

/// A frame that a forwarder must send.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Downlink {
    /// The time to send on the forwarder's clock, in µs; `None`: at once.
    pub(super) tmst: Option<u32>,
    /// Hz.
    pub(super) frequency: u32,
    pub(super) data_rate: String,
    pub(super) frame: Vec<u8>,
}

#[derive(Deserialize)]
struct PullResp {
    txpk: TxPk,
}

#[derive(Deserialize)]
struct TxPk {
    tmst: Option<u32>,
    freq: f64,
    datr: String,
    data: String,
}

/// A datagram from the gateway.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Received {
    /// Of a PUSH_DATA with this token.
    PushAck(u16),
    PullAck(u16),
    /// To be answered with this token.
    PullResp(u16, Downlink),
}

pub(super) fn push_data(token: u16, forwarder: u64, received: &ReceivedFrame) -> Vec<u8> {
    let rxpk = RxPk {
        time: &received.time,
        tmst: received.tmst,
        freq: f64::from(received.frequency) / 1e6,
        chan: 0,
        rfch: 0,
        stat: 1,
        modu: "LORA",
        datr: &received.data_rate,
        codr: "4/5",
        rssi: received.rssi,
        lsnr: received.snr,
        size: received.frame.len(),
        data: BASE64.encode(&received.frame),
    };
    let mut datagram = head(token, PUSH_DATA, forwarder);
    // Writing to memory does not fail.
    let _ = serde_json::to_writer(&mut datagram, &PushData { rxpk: [rxpk] });
    datagram
}

pub(super) fn pull_data(token: u16, forwarder: u64) -> Vec<u8> {
    head(token, PULL_DATA, forwarder)
}

/// The answer to a PULL_RESP; `error` is a word of the protocol, `NONE` if the frame is sent.
pub(super) fn tx_ack(token: u16, forwarder: u64, error: &str) -> Vec<u8> {
    let mut datagram = head(token, TX_ACK, forwarder);
    datagram.extend(format!("{{\"txpk_ack\":{{\"error\":\"{error}\"}}}}").bytes());
    datagram
}

fn head(token: u16, kind: u8, forwarder: u64) -> Vec<u8> {
    let mut datagram = vec![VERSION];
    datagram.extend(token.to_be_bytes());
    datagram.push(kind);
    datagram.extend(forwarder.to_be_bytes());
    datagram
}

/// Reads a datagram; `None` if it is not one that a forwarder understands.
pub(super) fn read(datagram: &[u8]) -> Option<Received> {
    let [VERSION, high, low, kind, body @ ..] = datagram else { return None };
    let token = u16::from_be_bytes([*high, *low]);
    match *kind {
        PUSH_ACK => Some(Received::PushAck(token)),
        PULL_ACK => Some(Received::PullAck(token)),
        PULL_RESP => Some(Received::PullResp(token, downlink(body)?)),
        _ => None,
    }
}

fn downlink(body: &[u8]) -> Option<Downlink> {
    let PullResp { txpk } = serde_json::from_slice(body).ok()?;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates")]
    let frequency = (txpk.freq * 1e6).round() as u32;
    let frame = BASE64.decode(&txpk.data).ok()?;
    Some(Downlink { tmst: txpk.tmst, frequency, data_rate: txpk.datr, frame })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_heard_is_told_as_the_protocol_says() {
        let received = ReceivedFrame {
            tmst: 7,
            time: "2026-11-20T10:00:00.000Z".to_owned(),
            frequency: 868_100_000,
            data_rate: "SF7BW125".to_owned(),
            rssi: -90,
            snr: 5.5,
            frame: vec![1, 2],
        };
        let datagram = push_data(0x1234, 0xaa55_5a00_0000_0101, &received);
        assert_eq!(datagram[..12], [2, 0x12, 0x34, 0, 0xaa, 0x55, 0x5a, 0, 0, 0, 1, 1]);
        let body: serde_json::Value = serde_json::from_slice(&datagram[12..]).unwrap();
        let expected = serde_json::json!({ "rxpk": [{
            "time": "2026-11-20T10:00:00.000Z", "tmst": 7, "freq": 868.1, "chan": 0, "rfch": 0, "stat": 1, "modu": "LORA",
            "datr": "SF7BW125", "codr": "4/5", "rssi": -90, "lsnr": 5.5, "size": 2, "data": "AQI=" }] });
        assert_eq!(body, expected);
        assert_eq!(pull_data(1, 2), [2, 0, 1, 2, 0, 0, 0, 0, 0, 0, 0, 2]);
        assert_eq!(tx_ack(1, 2, "NONE")[12..], *b"{\"txpk_ack\":{\"error\":\"NONE\"}}");
    }

    #[test]
    fn downlinks_are_read_and_unknown_datagrams_are_ignored() {
        let mut datagram = vec![2, 0, 9, 3];
        datagram.extend(br#"{"txpk":{"imme":false,"tmst":5,"freq":868.1,"datr":"SF9BW125","data":"IAE"}}"#);
        let downlink = Downlink {
            tmst: Some(5),
            frequency: 868_100_000,
            data_rate: "SF9BW125".to_owned(),
            frame: vec![0x20, 1],
        };
        assert_eq!(read(&datagram), Some(Received::PullResp(9, downlink)));
        assert_eq!(read(&[2, 0, 3, 1]), Some(Received::PushAck(3)));
        assert_eq!(read(&[2, 0, 4, 4]), Some(Received::PullAck(4)));
        for nonsense in [&b""[..], b"\x01\0\0\x01", b"\x02\0\0\x03{}", b"\x02\0\0\x09"] {
            assert_eq!(read(nonsense), None);
        }
    }
}
