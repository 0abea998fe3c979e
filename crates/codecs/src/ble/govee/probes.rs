//! Govee's meat and grill thermometers H5055 and H5181 to H5198: temperatures of probes, and at which they sound.

use super::super::readings::Readings;
use super::super::{BleProblem, Bytes};

/// How a model's data is laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Model {
    /// Six probes, of which one packet has two, in whole degrees and little endian.
    H5055,
    /// One probe (H5181, H5183).
    One,
    /// Two probes (H5182).
    Two,
    /// Four, of which one packet has two (H5184).
    TwoOfFour,
    /// Two with wider gaps (H5185).
    TwoWide,
    /// One probe and the air around it (H5191).
    Ambient,
    /// Four, with two alarms each, of which one packet has two (H5198).
    TwoOfFourWithLow,
}

/// By id, and by the model in the name.
const MODELS: [(&[u16], &[&str], Model); 7] = [
    (&[0xaf2f], &["H5055"], Model::H5055),
    (
        &[0xf861, 0x388a, 0xea42, 0xaaa2, 0xd14b, 0x67dd, 0xe02f, 0xf79f],
        &["H5181", "H5183", "GVPROBE"],
        Model::One,
    ),
    (&[0x2730], &["H5182"], Model::Two),
    (&[0x1b36], &["H5184"], Model::TwoOfFour),
    (&[0x4a32, 0x0332, 0x4c32], &["H5185"], Model::TwoWide),
    (&[0xac63], &["H5191"], Model::Ambient),
    (&[0x3022], &["H5198"], Model::TwoOfFourWithLow),
];

impl Model {
    pub(super) fn by_company(company: u16) -> Option<Self> {
        MODELS.iter().find(|(companies, ..)| companies.contains(&company)).map(|(.., model)| *model)
    }

    fn by_name(name: &str) -> Option<Self> {
        let is = |names: &[&str]| names.iter().any(|known| name.contains(known));
        MODELS.iter().find(|(_, names, _)| is(names)).map(|(.., model)| *model)
    }

    fn length(self) -> usize {
        match self {
            Self::One => 14,
            Self::Two | Self::TwoOfFour => 17,
            Self::H5055 | Self::TwoWide | Self::Ambient | Self::TwoOfFourWithLow => 20,
        }
    }
}

/// Whether it was of a model that is known.
pub(super) fn decode(
    name: &str,
    company: u16,
    data: Bytes<'_>,
    out: &mut Readings<'_>,
) -> Result<bool, BleProblem> {
    let Some(model) = Model::by_name(name).or_else(|| Model::by_company(company)) else { return Ok(false) };
    if data.len() != model.length() {
        return Ok(false);
    }
    match model {
        Model::H5055 => h5055(data, out)?,
        Model::One => probe(1, data, 8, 10, None, out)?,
        Model::Two => {
            probe(1, data, 8, 10, None, out)?;
            probe(2, data, 13, 15, None, out)?;
        }
        Model::TwoWide => {
            probe(1, data, 8, 10, None, out)?;
            probe(2, data, 14, 16, None, out)?;
        }
        Model::Ambient => {
            probe(1, data, 8, 10, None, out)?;
            out.measure("temperature", f64::from(data.i16_be(14)?) / 100.0);
        }
        Model::TwoOfFour | Model::TwoOfFourWithLow => {
            let Some(first) = first_of_pair(data.u8(6)?) else { return Ok(true) };
            if model == Model::TwoOfFour {
                probe(first, data, 8, 10, None, out)?;
                probe(first + 1, data, 13, 15, None, out)?;
            } else {
                probe(first, data, 8, 10, Some(12), out)?;
                probe(first + 1, data, 14, 16, Some(18), out)?;
            }
        }
    }
    Ok(true)
}

/// Which probe a packet of four begins with: the lower bits say which pair, the upper ones which are plugged in.
fn first_of_pair(which: u8) -> Option<usize> {
    match which & 0x3f {
        1 => Some(1),
        2 => Some(3),
        _ => None,
    }
}

/// In hundredths, big endian; below zero where there is no probe, or no alarm set.
fn probe(
    number: usize,
    data: Bytes<'_>,
    at: usize,
    alarm_at: usize,
    low_at: Option<usize>,
    out: &mut Readings<'_>,
) -> Result<(), BleProblem> {
    let places = [
        ("probe_temperature", Some(at)),
        ("probe_alarm_temperature", Some(alarm_at)),
        ("probe_low_alarm_temperature", low_at),
    ];
    for (metric, at) in places {
        let Some(at) = at else { continue };
        let hundredths = data.i16_be(at)?;
        if hundredths >= 0 {
            out.measure_of(metric, number, f64::from(hundredths) / 100.0);
        }
    }
    Ok(())
}

fn h5055(data: Bytes<'_>, out: &mut Readings<'_>) -> Result<(), BleProblem> {
    let which = data.u8(3)?;
    let pair = usize::from(which >> 6);
    if pair < 3 {
        for (offset, at) in [(0, 5), (1, 12)] {
            let index = 2 * pair + offset;
            if which >> index & 1 == 0 {
                continue;
            }
            out.measure_of("probe_temperature", index + 1, f64::from(data.i16(at)?));
            for (metric, at) in [("probe_low_alarm_temperature", at + 2), ("probe_alarm_temperature", at + 4)]
            {
                let degrees = data.i16(at)?;
                if degrees >= 0 {
                    out.measure_of(metric, index + 1, f64::from(degrees));
                }
            }
        }
        out.measure("battery", f64::from(data.u8(2)? & 0x7f));
    }
    Ok(())
}
