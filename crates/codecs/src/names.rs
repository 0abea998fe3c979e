//! What vendors call a quantity, and what we call it: the names of zigbee2mqtt, with SenML's units.
//!
//! Only spellings that mean the same thing in the same unit for all vendors; `pressure` (Pa or hPa), `bat` (percent or raw) and
//! `Current` (A or mA) are left as they are. For codecs in JavaScript, whose names are their vendors' own; a payload in
//! the format `json` keeps its names. docs/codecs.md has the same table.

/// Metric, unit, and the spellings that mean it. Case counts: `Volt` is a battery's voltage, `volt` is anything.
const NAMES: &[(&str, &str, &[&str])] = &[
    (
        "temperature",
        "Cel",
        &[
            "temp",
            "Temp",
            "tempC",
            "TempC",
            "tempc",
            "temp_c",
            "Temperature",
            "temperatureC",
            "temperature_c",
            "temperature_celsius",
            "temperatureCelsius",
            "air_temperature",
            "airTemperature",
            "air.temperature",
            "ambient_temperature",
            "ambientTemperature",
            "TempC_SHT",
            "TempC_SHT31",
            "TempC_SHT41",
            "temperatureMeasure",
        ],
    ),
    (
        "humidity",
        "%RH",
        &[
            "hum",
            "Hum",
            "humi",
            "Humi",
            "Humidity",
            "Hum_SHT",
            "Hum_SHT31",
            "Hum_SHT41",
            "relativeHumidity",
            "relative_humidity",
            "RelativeHumidity",
            "air_humidity",
            "airHumidity",
            "air.relativeHumidity",
            "air.humidity",
            "ambient_humidity",
            "ambientHumidity",
        ],
    ),
    ("pressure", "hPa", &["air.pressure", "pressure_hPa", "pressure_hpa"]),
    (
        "co2",
        "ppm",
        &["CO2", "co2_ppm", "CO2_ppm", "co2Ppm", "co2_concentration", "co2Concentration", "air.co2"],
    ),
    ("pm1", "ug/m3", &["pm1_0", "PM1_0", "pm1.0", "PM1.0", "pm1_0_mass_concentration"]),
    ("pm25", "ug/m3", &["pm2_5", "PM2_5", "pm2.5", "PM2.5", "PM25", "pm2_5_mass_concentration"]),
    ("pm10", "ug/m3", &["PM10", "pm10_mass_concentration"]),
    (
        "illuminance",
        "lx",
        &["Illuminance", "lux", "Lux", "light_lux", "ILL_lx", "ILL_lux", "air.lightIntensity"],
    ),
    (
        "voltage",
        "V",
        &[
            "battery_voltage",
            "BatV",
            "batV",
            "Bat_V",
            "BAT_V",
            "bat_v",
            "BatteryV",
            "battery_v",
            "Volt",
            "batteryVoltage",
            "BatteryVoltage",
        ],
    ),
    (
        "battery",
        "%EL",
        &[
            "battery_percent",
            "batteryPercent",
            "battery_percentage",
            "batteryPercentage",
            "BatteryPercentage",
        ],
    ),
    ("occupancy", "", &["occupied", "action.motion.detected"]),
    ("water_leak", "", &["waterLeak", "WATER_LEAK_STATUS", "water.leak"]),
    ("soil_temperature", "Cel", &["soil.temperature", "soilTemperature"]),
    ("soil_moisture", "/100", &["soil.moisture"]),
    ("wind_speed", "m/s", &["wind.speed"]),
    ("latitude", "lat", &["Latitude", "gpsLatitude", "gps.latitude", "location.latitude"]),
    ("longitude", "lon", &["Longitude", "gpsLongitude", "gps.longitude", "location.longitude"]),
];

/// In what `normalizeUplink` returns, one name means something else than in most codecs: there a battery's is a voltage.
const NORMALIZED_BATTERY: (&str, &str) = ("voltage", "V");

/// Our metric and unit (`""`: none) for what a vendor calls `name`. Some hand out `{"value": 21.5, "unit": "°C"}`.
pub(crate) fn known(name: &str) -> Option<(&'static str, &'static str)> {
    let bare = name.strip_suffix(".value").unwrap_or(name);
    let means = |spellings: &[&str]| spellings.contains(&bare);
    let found = NAMES.iter().find(|(_, _, spellings)| means(spellings));
    found.map(|(metric, unit, _)| (*metric, *unit)).or_else(|| wrapped(name))
}

/// `temperature` for `temperature.value`: our own name, one level down. A pressure's unit is open.
pub(crate) fn wrapped(name: &str) -> Option<(&'static str, &'static str)> {
    let bare = name.strip_suffix(".value").filter(|bare| *bare != "pressure")?;
    NAMES.iter().find(|(metric, ..)| *metric == bare).map(|(metric, unit, _)| (*metric, *unit))
}

/// [`known`], in the words of TS013's normalized payload.
pub(crate) fn normalized(name: &str) -> Option<(&'static str, &'static str)> {
    if name == "battery" { Some(NORMALIZED_BATTERY) } else { known(name) }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn the_vendors_spellings_of_the_docs_are_those_of_the_table() {
        let docs = include_str!("../../../docs/codecs.md");
        for (metric, unit, spellings) in NAMES {
            let spellings: Vec<_> = spellings.iter().map(|name| format!("`{name}`")).collect();
            let row = format!("| `{metric}` | {unit} | {} |\n", spellings.join(", "));
            assert!(docs.contains(&row), "docs/codecs.md lacks the row\n{row}");
        }
        let rows =
            docs.lines().filter(|line| line.starts_with("| `") && line.matches(" | ").count() == 2).count();
        assert_eq!(rows, NAMES.len(), "docs/codecs.md has rows that the table does not have");
    }

    #[test]
    fn a_spelling_means_one_metric_and_none_is_a_metrics_own_name() {
        let mut seen = HashSet::new();
        for (_, _, spellings) in NAMES {
            for spelling in *spellings {
                assert!(seen.insert(spelling), "{spelling} stands twice");
            }
        }
        assert!(NAMES.iter().all(|(metric, _, _)| !seen.contains(metric)));
    }

    #[test]
    fn a_unit_is_the_one_that_the_metric_has_everywhere() {
        for (metric, unit, _) in NAMES {
            let elsewhere = crate::unit_of(metric).unwrap_or_default();
            assert!(
                elsewhere == *unit || elsewhere.is_empty(),
                "{metric}: {unit} here, {elsewhere} elsewhere"
            );
        }
    }

    #[test]
    fn a_value_in_an_object_of_its_own_is_the_objects() {
        assert_eq!(known("battery_voltage.value"), Some(("voltage", "V")));
        assert_eq!(known("BatV.value"), known("BatV"));
        assert_eq!(known("temperature.value"), Some(("temperature", "Cel")));
        assert_eq!(known("temperature"), None, "it is ours already");
        assert_eq!(known("device_id.value"), None);
        assert_eq!(known("pressure.value"), None, "in Pa, hPa or bar");
        assert_eq!(known("value"), None);
    }

    #[test]
    fn a_battery_is_a_voltage_only_where_it_was_normalized() {
        assert_eq!(normalized("battery"), Some(("voltage", "V")));
        assert_eq!(known("battery"), None);
        assert_eq!(normalized("air.temperature"), known("air.temperature"));
    }
}
