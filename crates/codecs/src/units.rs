//! Which SenML unit (RFC 8428 §12.1, RFC 8798) a metric of zigbee2mqtt's name has.

/// Whole names. `voc` is left out: some devices say µg/m³, others ppb.
const NAMES: [(&str, &str); 36] = [
    ("temperature", "Cel"),
    ("dew_point", "Cel"),
    ("humidity", "%RH"),
    ("soil_moisture", "/100"),
    ("battery", "%EL"),
    ("position", "/100"),
    ("pressure", "hPa"),
    ("sea_pressure", "hPa"),
    ("co2", "ppm"),
    ("eco2", "ppm"),
    ("co", "ppm"),
    ("pm1", "ug/m3"),
    ("pm10", "ug/m3"),
    ("pm25", "ug/m3"),
    ("illuminance", "lx"),
    ("voltage", "V"),
    ("vcc", "V"),
    ("current", "A"),
    ("power", "W"),
    ("power_apparent", "VA"),
    ("power_reactive", "var"),
    ("ac_frequency", "Hz"),
    ("energy", "kWh"),
    ("energy_today", "kWh"),
    ("energy_yesterday", "kWh"),
    ("energy_month", "kWh"),
    ("produced_energy", "kWh"),
    ("latitude", "lat"),
    ("longitude", "lon"),
    ("altitude", "m"),
    ("water", "m3"),
    ("noise", "dB"),
    ("wind_speed", "m/s"),
    ("rssi", "dBm"),
    ("snr", "dB"),
    ("uptime", "s"),
];

/// Ends of names such as `device_temperature` and `occupied_heating_setpoint`.
const ENDS: [(&str, &str); 8] = [
    ("_temperature", "Cel"),
    ("_setpoint", "Cel"),
    ("_humidity", "%RH"),
    ("_voltage", "V"),
    ("_current", "A"),
    ("_power", "W"),
    ("_energy", "kWh"),
    ("_illuminance", "lx"),
];

/// The unit of `metric`, if its name implies it: of `temperature`, of `temperature_3` and `voltage_phase_b` (which of
/// several), of `ds18b20.temperature` (whose), and of `device_temperature`.
#[must_use]
pub fn unit_of(metric: &str) -> Option<&'static str> {
    let mut name = metric.rsplit('.').next().unwrap_or(metric);
    loop {
        if let Some(unit) = exact(name).or_else(|| by_end(name)) {
            return Some(unit);
        }
        let (before, last) = name.rsplit_once('_')?;
        if !is_qualifier(last) {
            return None;
        }
        name = before;
    }
}

fn exact(name: &str) -> Option<&'static str> {
    NAMES.iter().find(|(known, _)| *known == name).map(|(_, unit)| *unit)
}

fn by_end(name: &str) -> Option<&'static str> {
    ENDS.iter().find(|(end, _)| name.ends_with(end)).map(|(_, unit)| *unit)
}

/// Whether a word only names one of several: `3`, `l2`, `phase`, `b`, `left`.
fn is_qualifier(word: &str) -> bool {
    let digits = word.strip_prefix('l').unwrap_or(word);
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_number
        || matches!(word, "phase" | "a" | "b" | "c" | "n" | "left" | "right" | "center" | "top" | "bottom")
}

#[cfg(test)]
mod tests {
    use super::unit_of;

    #[test]
    fn the_unit_follows_from_the_last_part_of_the_name() {
        for (metric, unit) in [
            ("temperature", "Cel"),
            ("temperature_3", "Cel"),
            ("ds18b20_2.temperature", "Cel"),
            ("device_temperature", "Cel"),
            ("occupied_heating_setpoint", "Cel"),
            ("voltage_phase_b", "V"),
            ("power_l1", "W"),
            ("energy", "kWh"),
        ] {
            assert_eq!(unit_of(metric), Some(unit), "{metric}");
        }
    }

    #[test]
    fn what_the_name_does_not_tell_has_no_unit() {
        for metric in ["", "_", "voc", "temperature_calibration", "linkquality", "a.b"] {
            assert_eq!(unit_of(metric), None, "{metric}");
        }
    }
}
