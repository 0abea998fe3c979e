//! Capacities, currents and shares as people write them: `3000mAh`, `20uA`, `99.7%`.

use std::str::FromStr;

/// In mAh.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Capacity(pub(super) f64);

impl FromStr for Capacity {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        with_unit(text, &[("mAh", 1.0), ("Ah", 1_000.0)])
            .map(Self)
            .ok_or_else(|| format!("`{text}` is not a capacity; write a number and a unit: 3000mAh or 2.4Ah"))
    }
}

/// A share or a rate in %.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Percent(pub(super) f64);

impl FromStr for Percent {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        with_unit(text, &[("%", 1.0)])
            .map(Self)
            .ok_or_else(|| format!("`{text}` is not a percentage; write a number and %: 99.7%"))
    }
}

/// `send=170mA:0.2%`.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct StateText {
    pub(super) name: String,
    pub(super) milliamps: f64,
    pub(super) percent: f64,
}

impl FromStr for StateText {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is not a state; write NAME=CURRENT:SHARE%: send=170mA:0.2%");
        let (name, rest) = text.split_once('=').ok_or_else(wrong)?;
        let (current, share) = rest.split_once(':').ok_or_else(wrong)?;
        if name.trim().is_empty() {
            return Err(wrong());
        }
        let milliamps = with_unit(
            current,
            &[("nA", 1e-6), ("uA", 1e-3), ("µA", 1e-3), ("μA", 1e-3), ("mA", 1.0), ("A", 1e3)],
        )
        .ok_or_else(|| format!("`{current}` is not a current; write a number and a unit: 20uA, 80mA"))?;
        let Percent(percent) = share.parse()?;
        Ok(Self { name: name.trim().to_owned(), milliamps, percent })
    }
}

/// A number and one of the units, which are tried in their order; times the unit's factor.
fn with_unit(text: &str, units: &[(&str, f64)]) -> Option<f64> {
    let text = text.trim();
    let (number, factor) =
        units.iter().find_map(|(unit, factor)| Some((text.strip_suffix(unit)?, *factor)))?;
    let number: f64 = number.trim_end().parse().ok()?;
    number.is_finite().then_some(number * factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capacities_are_in_mah_or_ah() {
        assert_eq!("3000mAh".parse(), Ok(Capacity(3_000.0)));
        assert_eq!(" 2.4 Ah ".parse(), Ok(Capacity(2_400.0)));
        for text in ["3000", "mAh", "3 000mAh", "infmAh", "NaNmAh", "3000mA"] {
            assert!(text.parse::<Capacity>().is_err(), "{text}");
        }
    }

    #[test]
    fn states_have_a_name_a_current_and_a_share() {
        for (text, milliamps) in
            [("s=20uA:99.7%", 0.02), ("s=20µA:99.7%", 0.02), ("s=80 mA: 99.7 %", 80.0), ("s=1A:99.7%", 1e3)]
        {
            let state = StateText { name: "s".into(), milliamps, percent: 99.7 };
            assert_eq!(text.parse(), Ok(state), "{text}");
        }
        // The sign is the model's to refuse.
        assert_eq!("s=-1mA:1%".parse::<StateText>().map(|it| it.milliamps), Ok(-1.0));
        for text in ["", "s", "s=", "s=1mA", "s=1mA:1", "s=1:1%", "=1mA:1%", "s=1mA:1%:2%", "s=1mV:1%"] {
            assert!(text.parse::<StateText>().is_err(), "{text}");
        }
    }
}
