//! Parses and builds PHYPayloads (LoRaWAN 1.0.4, section 4). Malformed frames are rejected before any key is tried.

use crate::crypto::{Direction, Mic, Scope, crypt, data_mic};
use crate::ids::{DevAddr, Eui};
use crate::key::Key;
use crate::reason::Reason;

/// Bytes of a join request.
const JOIN_REQUEST: usize = 23;
/// MHDR, an FHDR without options, MIC.
const MIN_DATA_FRAME: usize = 12;
/// LoRa encodes the length in one byte.
const MAX_FRAME: usize = 255;

/// A frame from a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Frame<'a> {
    JoinRequest(JoinRequest<'a>),
    Data(DataUp<'a>),
}

/// A join request with an unverified MIC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct JoinRequest<'a> {
    pub(crate) join_eui: Eui,
    pub(crate) dev_eui: Eui,
    pub(crate) dev_nonce: u16,
    /// The bytes covered by the MIC.
    pub(crate) signed: &'a [u8],
    pub(crate) mic: Mic,
}

/// A data frame with an unverified MIC and an encrypted payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct DataUp<'a> {
    pub(crate) confirmed: bool,
    pub(crate) address: DevAddr,
    pub(crate) adr: bool,
    pub(crate) adr_ack_req: bool,
    /// Acknowledges the last confirmed downlink.
    pub(crate) ack: bool,
    /// The low 16 bits of the counter.
    pub(crate) f_cnt: u16,
    pub(crate) f_opts: &'a [u8],
    pub(crate) f_port: Option<u8>,
    pub(crate) encrypted: &'a [u8],
    /// The bytes covered by the MIC.
    pub(crate) signed: &'a [u8],
    pub(crate) mic: Mic,
}

impl<'a> Frame<'a> {
    pub(crate) fn parse(phy: &'a [u8]) -> Result<Self, Reason> {
        let (mhdr, body) = phy.split_first().ok_or(Reason::FrameShort)?;
        if phy.len() > MAX_FRAME {
            return Err(Reason::FrameLong);
        }
        let kind = mhdr >> 5;
        if kind != 7 && mhdr & 0b11 != 0 {
            return Err(Reason::Major);
        }
        match kind {
            0 => JoinRequest::parse(phy).map(Self::JoinRequest),
            2 | 4 => DataUp::parse(phy, body, kind == 4).map(Self::Data),
            1 | 3 | 5 => Err(Reason::Downlink),
            6 => Err(Reason::Rejoin),
            _ => Err(Reason::Proprietary),
        }
    }
}

impl<'a> JoinRequest<'a> {
    fn parse(phy: &'a [u8]) -> Result<Self, Reason> {
        if phy.len() != JOIN_REQUEST {
            return Err(Reason::FrameShort);
        }
        let (signed, mic) = phy.split_last_chunk().ok_or(Reason::FrameShort)?;
        let fields = signed.get(1..).unwrap_or_default();
        let (join_eui, rest) = fields.split_first_chunk().ok_or(Reason::FrameShort)?;
        let (dev_eui, rest) = rest.split_first_chunk().ok_or(Reason::FrameShort)?;
        let dev_nonce = rest.first_chunk().ok_or(Reason::FrameShort)?;
        Ok(Self {
            join_eui: Eui::from_le_bytes(*join_eui),
            dev_eui: Eui::from_le_bytes(*dev_eui),
            dev_nonce: u16::from_le_bytes(*dev_nonce),
            signed,
            mic: *mic,
        })
    }
}

impl<'a> DataUp<'a> {
    fn parse(phy: &'a [u8], body: &'a [u8], confirmed: bool) -> Result<Self, Reason> {
        if phy.len() < MIN_DATA_FRAME {
            return Err(Reason::FrameShort);
        }
        let (signed, mic) = phy.split_last_chunk().ok_or(Reason::FrameShort)?;
        let (body, _) = body.split_last_chunk::<4>().ok_or(Reason::FrameShort)?;
        let ([a0, a1, a2, a3, f_ctrl, c0, c1], rest) = body.split_first_chunk().ok_or(Reason::FrameShort)?;
        let (f_opts, rest) = rest.split_at_checked(usize::from(f_ctrl & 0x0f)).ok_or(Reason::FrameShort)?;
        let (f_port, encrypted) = match rest.split_first() {
            Some((f_port, encrypted)) => (Some(*f_port), encrypted),
            None => (None, rest),
        };
        if f_port == Some(0) && !f_opts.is_empty() {
            return Err(Reason::TwiceMac);
        }
        Ok(Self {
            confirmed,
            address: DevAddr::from_le_bytes([*a0, *a1, *a2, *a3]),
            adr: f_ctrl & 0x80 != 0,
            adr_ack_req: f_ctrl & 0x40 != 0,
            ack: f_ctrl & 0x20 != 0,
            f_cnt: u16::from_le_bytes([*c0, *c1]),
            f_opts,
            f_port,
            encrypted,
            signed,
            mic: *mic,
        })
    }

    fn scope(&self, f_cnt: u32) -> Scope {
        Scope { direction: Direction::Up, address: self.address, f_cnt }
    }

    /// Whether the MIC matches this key and counter.
    pub(crate) fn verifies(&self, nwk_s_key: &Key, f_cnt: u32) -> bool {
        data_mic(nwk_s_key, self.scope(f_cnt), self.signed) == self.mic
    }

    /// Decrypts the payload; only if the frame [verifies](Self::verifies).
    pub(crate) fn decrypt(&self, key: &Key, f_cnt: u32) -> Vec<u8> {
        let mut payload = self.encrypted.to_vec();
        crypt(key, self.scope(f_cnt), &mut payload);
        payload
    }
}

/// A data frame to a device.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct DataDown {
    pub(crate) confirmed: bool,
    /// Whether the network controls the data rate (ADR).
    pub(crate) adr: bool,
    /// Acknowledges the last confirmed uplink.
    pub(crate) ack: bool,
    /// More downlinks are pending.
    pub(crate) pending: bool,
    /// At most 15 bytes.
    pub(crate) f_opts: Vec<u8>,
    /// FPort and FRMPayload.
    pub(crate) data: Option<(u8, Vec<u8>)>,
}

impl DataDown {
    /// The length of the PHYPayload in bytes.
    pub(crate) fn length(&self) -> usize {
        MIN_DATA_FRAME + self.f_opts.len() + self.data.as_ref().map_or(0, |(_, payload)| 1 + payload.len())
    }

    pub(crate) fn encode(self, address: DevAddr, f_cnt: u32, nwk_s_key: &Key, app_s_key: &Key) -> Vec<u8> {
        let scope = Scope { direction: Direction::Down, address, f_cnt };
        let flag = |set: bool, bit: u8| if set { bit } else { 0 };
        let options = self.f_opts.len().min(15);
        let f_ctrl = flag(self.adr, 0x80) | flag(self.ack, 0x20) | flag(self.pending, 0x10) | options as u8;
        let [c0, c1, _, _] = f_cnt.to_le_bytes();
        let mut phy = vec![if self.confirmed { 0xa0 } else { 0x60 }];
        phy.extend(address.to_le_bytes());
        phy.extend([f_ctrl, c0, c1]);
        phy.extend(self.f_opts.iter().take(options));
        if let Some((f_port, mut payload)) = self.data {
            crypt(app_s_key, scope, &mut payload);
            phy.push(f_port);
            phy.extend(payload);
        }
        phy.extend(data_mic(nwk_s_key, scope, &phy));
        phy
    }
}
