//! What a PULL_RESP carries: a frame to send.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use crate::data_rate::DataRate;

/// When to send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum When {
    /// At once.
    Now,
    /// At this time of the concentrator's clock.
    Tmst(u32),
}

/// A frame to send.
#[derive(Debug, Clone)]
pub(crate) struct Txpk<'a> {
    pub(crate) when: When,
    /// In Hz.
    pub(crate) frequency: u32,
    /// In dBm before the antenna.
    pub(crate) power: i8,
    pub(crate) data_rate: DataRate,
    pub(crate) data: &'a [u8],
}

impl Txpk<'_> {
    /// Downlinks have their polarisation inverted and no checksum.
    pub(crate) fn to_json(&self) -> Vec<u8> {
        let mut txpk = Map::new();
        let mut set = |key: &str, value: Value| drop(txpk.insert(key.to_owned(), value));
        match self.when {
            When::Now => set("imme", true.into()),
            When::Tmst(tmst) => set("tmst", tmst.into()),
        }
        set("freq", (f64::from(self.frequency) / 1e6).into());
        set("rfch", 0.into());
        set("powe", self.power.into());
        match self.data_rate {
            DataRate::Lora { .. } => {
                set("modu", "LORA".into());
                set("datr", self.data_rate.to_string().into());
                set("codr", "4/5".into());
                set("ipol", true.into());
            }
            DataRate::Fsk { bit_rate } => {
                set("modu", "FSK".into());
                set("datr", bit_rate.into());
                set("fdev", (bit_rate / 2).into());
            }
        }
        set("ncrc", true.into());
        set("size", self.data.len().into());
        set("data", STANDARD.encode(self.data).into());
        json!({ "txpk": txpk }).to_string().into_bytes()
    }
}
