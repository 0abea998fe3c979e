//! The datagrams between packet forwarders and a server: Semtech's `PROTOCOL.TXT`, versions 1 and 2.
//!
//! A datagram is a version, a token, a kind, for most kinds the forwarder's EUI, and for some a JSON object. The
//! object is read apart from the rest: a forwarder is answered as soon as the head is right.

mod rxpk;
mod stat;
#[cfg(test)]
mod tests;
mod txpk;

use crate::ids::Eui;

pub use self::rxpk::Antenna;
pub(crate) use self::rxpk::{Crc, Rxpk, push};
pub use self::stat::Stat;
pub(crate) use self::txpk::{Txpk, When};

/// The kinds of datagrams.
mod kind {
    pub(super) const PUSH_DATA: u8 = 0;
    pub(super) const PUSH_ACK: u8 = 1;
    pub(super) const PULL_DATA: u8 = 2;
    pub(super) const PULL_RESP: u8 = 3;
    pub(super) const PULL_ACK: u8 = 4;
    pub(super) const TX_ACK: u8 = 5;
}

/// A version of the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Version {
    /// Does not report the result of a downlink.
    One = 1,
    /// Has TX_ACK.
    Two = 2,
}

/// The head of a datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) version: Version,
    pub(crate) token: [u8; 2],
    pub(crate) gateway: Eui,
    pub(crate) kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    PushData,
    PullData,
    TxAck,
}

/// Why a datagram is none of this protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Malformed {
    Short,
    Version,
    Kind,
}

impl Head {
    /// Takes the head off a datagram; the rest is JSON.
    pub(crate) fn decode(datagram: &[u8]) -> Result<(Self, &[u8]), Malformed> {
        let [version, t0, t1, kind, rest @ ..] = datagram else { return Err(Malformed::Short) };
        let version = match version {
            1 => Version::One,
            2 => Version::Two,
            _ => return Err(Malformed::Version),
        };
        let kind = match *kind {
            kind::PUSH_DATA => Kind::PushData,
            kind::PULL_DATA => Kind::PullData,
            kind::TX_ACK => Kind::TxAck,
            _ => return Err(Malformed::Kind),
        };
        let (eui, json) = rest.split_first_chunk::<8>().ok_or(Malformed::Short)?;
        let gateway = Eui::from_be_bytes(*eui);
        Ok((Self { version, token: [*t0, *t1], gateway, kind }, json))
    }

    /// The datagram that confirms this one; `None` for those that are not confirmed.
    pub(crate) const fn acknowledgement(&self) -> Option<[u8; 4]> {
        let kind = match self.kind {
            Kind::PushData => kind::PUSH_ACK,
            Kind::PullData => kind::PULL_ACK,
            Kind::TxAck => return None,
        };
        let [t0, t1] = self.token;
        Some([self.version as u8, t0, t1, kind])
    }
}

/// A PULL_RESP: what a forwarder is to send.
pub(crate) fn pull_resp(version: Version, token: u16, txpk: &Txpk<'_>) -> Vec<u8> {
    let [t0, t1] = token.to_be_bytes();
    let mut datagram = vec![version as u8, t0, t1, kind::PULL_RESP];
    datagram.extend(txpk.to_json());
    datagram
}

/// What a forwarder says of a PULL_RESP. Warnings count as taken: the frame is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TxError {
    /// It came too late for its time.
    TooLate,
    /// It came too early for its time.
    TooEarly,
    /// Something else is sent at that time.
    CollisionPacket,
    /// A beacon is sent at that time.
    CollisionBeacon,
    /// The forwarder cannot send at this frequency.
    TxFreq,
    /// The forwarder cannot send with this power.
    TxPower,
    /// It has no time by GPS.
    GpsUnlocked,
    /// Something else.
    Other,
}

/// Reads the object of a TX_ACK. None at all, or one that is not understood, is no error: nothing was refused.
pub(crate) fn tx_ack(json: &[u8]) -> Result<(), TxError> {
    #[derive(serde::Deserialize)]
    struct Body<'a> {
        #[serde(borrow)]
        txpk_ack: Ack<'a>,
    }
    #[derive(serde::Deserialize)]
    struct Ack<'a> {
        error: Option<&'a str>,
    }
    let Ok(body) = serde_json::from_slice::<Body<'_>>(trim(json)) else { return Ok(()) };
    Err(match body.txpk_ack.error {
        None | Some("NONE" | "") => return Ok(()),
        Some("TOO_LATE") => TxError::TooLate,
        Some("TOO_EARLY") => TxError::TooEarly,
        Some("COLLISION_PACKET") => TxError::CollisionPacket,
        Some("COLLISION_BEACON") => TxError::CollisionBeacon,
        Some("TX_FREQ") => TxError::TxFreq,
        Some("TX_POWER") => TxError::TxPower,
        Some("GPS_UNLOCKED") => TxError::GpsUnlocked,
        Some(_) => TxError::Other,
    })
}

/// Without what some forwarders fill their buffers up with.
fn trim(json: &[u8]) -> &[u8] {
    let end = json.iter().rposition(|byte| !matches!(byte, 0 | b' ' | b'\r' | b'\n' | b'\t'));
    json.get(..end.map_or(0, |last| last + 1)).unwrap_or_default()
}
