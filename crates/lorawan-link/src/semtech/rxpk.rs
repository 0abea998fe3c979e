//! What a PUSH_DATA carries: the frames a forwarder received, each read for itself, so that a bad one costs no other.

use std::borrow::Cow;

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::stat::Stat;
use super::trim;
use crate::data_rate::DataRate;
use crate::reason::Reason;

/// The protocol's example has no padding, most forwarders write it.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);
/// The longest PHYPayload in bytes: LoRa counts them in one.
const MAX_FRAME: usize = 255;
/// Forwarders hand over no more at a time.
const FRAMES: usize = 255;
/// A concentrator has no more antennas.
const ANTENNAS: usize = 8;

/// What became of a frame's checksum.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Crc {
    /// It is right.
    Ok,
    /// There is none.
    Missing,
    /// It is wrong.
    Failed,
}

/// A frame that a forwarder received.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Rxpk {
    /// The concentrator's clock at its end, in microseconds, modulo 2³².
    pub(crate) tmst: u32,
    /// When it came by the forwarder's clock.
    pub(crate) time: Option<Timestamp>,
    /// The same in milliseconds of GPS time.
    pub(crate) gps_millis: Option<u64>,
    /// Nanoseconds within the second by the concentrator's fine clock.
    pub(crate) fine_time: Option<u32>,
    /// The concentrator's channel.
    pub(crate) channel: Option<u8>,
    /// The concentrator's radio.
    pub(crate) radio: Option<u8>,
    /// The concentrator's board.
    pub(crate) board: Option<u8>,
    /// Which key its fine time is encrypted with.
    pub(crate) aes_key: Option<u8>,
    /// In Hz.
    pub(crate) frequency: u32,
    /// Its checksum.
    pub(crate) crc: Crc,
    /// Its modulation and speed.
    pub(crate) data_rate: DataRate,
    /// `4/5`; none for FSK.
    pub(crate) coding_rate: Option<String>,
    /// In dBm; of the best antenna where there is no common one.
    pub(crate) rssi: f32,
    /// In dB; none for FSK.
    pub(crate) snr: Option<f32>,
    /// Each antenna's view, of concentrators with more than one.
    pub(crate) antennas: Vec<Antenna>,
    /// The PHYPayload.
    pub(crate) data: Vec<u8>,
}

/// The reception of a frame by one of several antennas.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Antenna {
    /// Its number.
    pub number: u8,
    /// In dBm.
    pub rssi: f32,
    /// In dB.
    pub snr: Option<f32>,
    /// Nanoseconds within the second by the concentrator's fine clock.
    pub fine_time: Option<u32>,
}

/// What a PUSH_DATA carries.
#[derive(Debug, Default)]
pub(crate) struct Push {
    pub(crate) frames: Vec<Result<Rxpk, Reason>>,
    pub(crate) stat: Option<Stat>,
}

/// Reads the object of a PUSH_DATA; none at all is an empty one.
pub(crate) fn push(json: &[u8]) -> Result<Push, Reason> {
    #[derive(Deserialize)]
    struct Body<'a> {
        #[serde(borrow)]
        rxpk: Option<Vec<&'a RawValue>>,
        #[serde(borrow)]
        stat: Option<&'a RawValue>,
    }
    let json = trim(json);
    if json.is_empty() {
        return Ok(Push::default());
    }
    let body: Body<'_> = serde_json::from_slice(json).map_err(|_| Reason::Json)?;
    let written = body.rxpk.unwrap_or_default();
    let mut frames: Vec<_> = written.iter().take(FRAMES).map(|frame| read(frame.get())).collect();
    if written.len() > FRAMES {
        frames.push(Err(Reason::FramesMany));
    }
    Ok(Push { frames, stat: body.stat.and_then(|stat| serde_json::from_str(stat.get()).ok()) })
}

/// As it is written. Numbers are taken as they come: forwarders differ in which have a fraction.
#[derive(Deserialize)]
struct Written<'a> {
    tmst: Option<f64>,
    time: Option<String>,
    tmms: Option<f64>,
    ftime: Option<f64>,
    chan: Option<f64>,
    rfch: Option<f64>,
    brd: Option<f64>,
    aesk: Option<f64>,
    freq: Option<f64>,
    stat: Option<f64>,
    #[serde(borrow, default)]
    modu: Cow<'a, str>,
    #[serde(borrow)]
    datr: Option<&'a RawValue>,
    codr: Option<String>,
    rssi: Option<f64>,
    lsnr: Option<f64>,
    size: Option<f64>,
    #[serde(borrow, default)]
    data: Option<Cow<'a, str>>,
    #[serde(borrow)]
    rsig: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct WrittenAntenna {
    ant: Option<f64>,
    rssic: Option<f64>,
    lsnr: Option<f64>,
    ftime: Option<f64>,
}

fn read(json: &str) -> Result<Rxpk, Reason> {
    let written: Written<'_> = serde_json::from_str(json).map_err(|_| Reason::Rxpk)?;
    let antennas = written.rsig.map(|rsig| antennas(rsig.get())).unwrap_or_default();
    let best = antennas
        .iter()
        .max_by(|a, b| (a.snr, a.rssi).partial_cmp(&(b.snr, b.rssi)).unwrap_or(std::cmp::Ordering::Equal));
    let rssi = written.rssi.map(|rssi| rssi as f32).or(best.map(|antenna| antenna.rssi));
    let snr = written.lsnr.map(|snr| snr as f32).or_else(|| best.and_then(|antenna| antenna.snr));
    let frequency = written.freq.map(|mhz| (mhz * 1e6).round()).and_then(whole).ok_or(Reason::Rxpk)?;
    Ok(Rxpk {
        tmst: whole(written.tmst.unwrap_or(0.0)).ok_or(Reason::Rxpk)?,
        time: written.time.and_then(|time| time.parse().ok()),
        gps_millis: written.tmms.filter(|millis| (0.0..1e15).contains(millis)).map(|millis| millis as u64),
        fine_time: written.ftime.and_then(whole),
        channel: written.chan.and_then(small),
        radio: written.rfch.and_then(small),
        board: written.brd.and_then(small),
        aes_key: written.aesk.and_then(small),
        frequency,
        crc: match written.stat {
            None => Crc::Ok,
            Some(stat) if stat > 0.0 => Crc::Ok,
            Some(stat) if stat < 0.0 => Crc::Failed,
            Some(_) => Crc::Missing,
        },
        data_rate: data_rate(&written.modu, written.datr)?,
        coding_rate: written.codr,
        rssi: rssi.filter(|rssi| rssi.abs() < 300.0).ok_or(Reason::Rxpk)?,
        snr: snr.filter(|snr| snr.abs() < 100.0),
        antennas,
        data: data(&written.data.ok_or(Reason::Rxpk)?, written.size)?,
    })
}

fn data_rate(modulation: &str, rate: Option<&RawValue>) -> Result<DataRate, Reason> {
    let text = rate.map(RawValue::get).ok_or(Reason::DataRate)?;
    let rate = match modulation {
        "FSK" => {
            let bit_rate =
                text.parse::<f64>().ok().and_then(whole).filter(|rate| (1_000..=1_000_000).contains(rate));
            bit_rate.map(|bit_rate| DataRate::Fsk { bit_rate })
        }
        "LORA" | "" => DataRate::parse_lora(text.trim_matches('"')),
        _ => None,
    };
    rate.ok_or(Reason::DataRate)
}

fn data(text: &str, size: Option<f64>) -> Result<Vec<u8>, Reason> {
    if text.len() > MAX_FRAME.div_ceil(3) * 4 {
        return Err(Reason::FrameLong);
    }
    let data = BASE64.decode(text).map_err(|_| Reason::Base64)?;
    match size {
        Some(size) if whole(size) != u32::try_from(data.len()).ok() => Err(Reason::Size),
        _ => Ok(data),
    }
}

fn antennas(json: &str) -> Vec<Antenna> {
    let written: Vec<WrittenAntenna> = serde_json::from_str(json).unwrap_or_default();
    let read = |written: &WrittenAntenna| {
        Some(Antenna {
            number: small(written.ant?)?,
            rssi: written.rssic? as f32,
            snr: written.lsnr.map(|snr| snr as f32),
            fine_time: written.ftime.and_then(whole),
        })
    };
    written.iter().take(ANTENNAS).filter_map(read).collect()
}

/// A number that is one of 32 bits.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked to be within")]
fn whole(number: f64) -> Option<u32> {
    (number.fract() == 0.0 && (0.0..=f64::from(u32::MAX)).contains(&number)).then_some(number as u32)
}

fn small(number: f64) -> Option<u8> {
    whole(number).and_then(|number| u8::try_from(number).ok())
}
