//! What a month promises, seen from outside: as its readings show it.

use std::collections::BTreeMap;

use super::*;

fn settings(days: u32) -> Settings {
    Settings {
        seed: 1,
        from: "2026-01-05T00:00:00Z".parse().unwrap(),
        days: NonZeroU32::new(days).unwrap(),
        every: Duration::from_secs(300),
        devices: DEVICES,
        zone: None,
        faults: Vec::new(),
    }
}

fn with(fault: &str, days: u32) -> Settings {
    Settings { faults: vec![fault.parse().unwrap()], ..settings(days) }
}

/// Values by device and metric, with the hours since the beginning.
type Series = BTreeMap<(String, &'static str), Vec<(f64, f64)>>;

fn series(settings: &Settings) -> Series {
    let mut series = Series::new();
    for row in Month::new(settings).unwrap() {
        let hours = row.at.since(settings.from).as_secs_f64() / 3600.0;
        for (metric, value) in row.values {
            series.entry((row.device.to_string(), metric.as_str())).or_default().push((hours, value));
        }
    }
    series
}

fn of<'a>(series: &'a Series, device: &str, metric: &'static str) -> &'a [(f64, f64)] {
    &series[&(device.to_owned(), metric)]
}

fn values(series: &[(f64, f64)], hours: std::ops::Range<f64>) -> Vec<f64> {
    series.iter().filter(|(hour, _)| hours.contains(hour)).map(|(_, value)| *value).collect()
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

fn largest(values: &[f64]) -> f64 {
    values.iter().copied().fold(f64::MIN, f64::max)
}

fn smallest(values: &[f64]) -> f64 {
    values.iter().copied().fold(f64::MAX, f64::min)
}

/// How the month with `fault` differs from the one without: by series, with the hours since the beginning.
fn changes(fault: &str, days: u32) -> Series {
    let (healthy, mut faulty) = (series(&settings(days)), series(&with(fault, days)));
    for (name, values) in &mut faulty {
        for (value, before) in values.iter_mut().zip(&healthy[name]) {
            value.1 -= before.1;
        }
        values.retain(|(_, change)| *change != 0.0);
    }
    faulty.retain(|_, changes| !changes.is_empty());
    faulty
}

#[test]
fn the_same_seed_and_beginning_are_the_same_month_and_another_seed_is_another() {
    let rows = |settings: &Settings| Month::new(settings).unwrap().collect::<Vec<_>>();
    assert_eq!(rows(&settings(2)), rows(&settings(2)));
    let other = rows(&Settings { seed: 2, ..settings(2) });
    assert_ne!(rows(&settings(2)), other);
}

#[test]
fn every_device_has_one_reading_per_interval_in_the_order_of_time() {
    let rows: Vec<_> = Month::new(&settings(1)).unwrap().collect();
    assert_eq!(rows.len(), 288 * 25);
    for (index, turn) in rows.chunks(25).enumerate() {
        assert!(turn.iter().all(|row| row.at == settings(1).from + Duration::from_secs(300) * index as u32));
    }
    assert_eq!(rows[..25].iter().map(|row| row.values.len()).sum::<usize>(), 50);
}

#[test]
fn a_devices_values_do_not_depend_on_other_devices_or_the_interval() {
    let all = series(&settings(2));
    let zone = series(&Settings { zone: Some("floor-1/west".to_owned()), ..settings(2) });
    let few = series(&Settings { devices: NonZeroUsize::new(3).unwrap(), ..settings(2) });
    let often = series(&Settings { every: Duration::from_secs(60), ..settings(2) });
    assert!(zone.keys().all(|(device, _)| device.ends_with(|digit| ('5'..='8').contains(&digit))));
    assert_eq!((zone.len(), few.len(), often.len()), (24, 7, 50));
    for (name, values) in zone.iter().chain(&few) {
        assert_eq!(values, &all[name], "{name:?}");
    }
    for (name, values) in &often {
        let fifth: Vec<_> = values.iter().step_by(5).copied().collect();
        assert_eq!(fifth, all[name], "{name:?}");
    }
}

#[test]
fn weekends_and_the_holiday_are_quiet_and_cool() {
    let month = settings(30);
    let calendar = Calendar::new(month.seed, Minute::of(month.from));
    let holiday = calendar.holiday_around(Minute::of(month.from)) - Minute::of(month.from).day();
    let all = series(&month);
    for room in 101..=108 {
        let device = format!("climate-{room}");
        let noon = |metric, day: i64| {
            let from = day as f64 * 24.0;
            mean(&values(of(&all, &device, metric), from + 11.0..from + 15.0))
        };
        for quiet in [5, 6, 12, 13, holiday] {
            assert!(noon("co2", quiet) < 430.0, "{device} day {quiet}: nobody breathes");
            assert!(noon("temperature", quiet) < noon("temperature", 2) - 1.0, "{device} day {quiet}");
        }
        assert!(noon("co2", 2) > 550.0, "{device} on a Wednesday");
    }
    let night = values(of(&all, "heating-101", "supply_temperature"), 5.0 * 24.0..7.0 * 24.0);
    assert!(largest(&night) < 33.0, "no heat at the weekend");
}

#[test]
fn months_have_their_seasons() {
    let weather = |from: &str| {
        let month = Settings {
            from: from.parse().unwrap(),
            devices: NonZeroUsize::MIN.saturating_add(4),
            ..settings(28)
        };
        let all = series(&month);
        let mean_of = |device, metric| mean(&values(of(&all, device, metric), 0.0..f64::MAX));
        let supply = largest(&values(of(&all, "heating-101", "supply_temperature"), 0.0..f64::MAX));
        (mean_of("weather", "temperature"), mean_of("light-101", "illuminance"), supply)
    };
    let (january, july) = (weather("2026-01-05T00:00:00Z"), weather("2026-07-06T00:00:00Z"));
    assert!((-4.0..4.0).contains(&january.0), "{january:?}");
    assert!((15.0..23.0).contains(&july.0), "{july:?}");
    assert!(july.1 > 2.0 * january.1, "{july:?} is brighter than {january:?}");
    assert!(january.2 > 45.0 && july.2 < 25.0, "the boiler rests in summer: {january:?} {july:?}");
}

#[test]
fn values_are_those_of_a_plausible_building() {
    for from in ["2026-01-05T00:00:00Z", "2026-04-06T00:00:00Z", "2026-07-06T00:00:00Z"] {
        let all = series(&Settings { from: from.parse().unwrap(), ..settings(28) });
        for ((device, metric), values) in &all {
            let values: Vec<_> = values.iter().map(|(_, value)| *value).collect();
            let (low, high) = match *metric {
                "temperature" if device == "weather" => (-15.0, 35.0),
                "temperature" => (13.0, 34.0),
                "humidity" => (15.0, 85.0),
                "co2" => (400.0, 1300.0),
                "battery" => (60.0, 100.0),
                "power" => (10.0, 1700.0),
                "illuminance" => (0.0, 7000.0),
                "supply_temperature" => (19.0, 75.0),
                _ => (1000.0, 1025.0),
            };
            let range = (smallest(&values), largest(&values));
            assert!(range.0 >= low && range.1 <= high, "{device} {metric} from {from}: {range:?}");
        }
    }
}

#[test]
fn each_fault_changes_its_device_from_its_start_and_nothing_before_or_beside_it() {
    for (fault, place, changed) in [
        ("stuck", "climate-102/temperature", 1),
        ("offset", "climate-102/co2", 1),
        ("drift", "climate-102/humidity", 1),
        ("spike", "meter-102/power", 1),
        ("dropout", "heating-101/supply_temperature", 1),
        ("noise", "climate-102/temperature", 1),
        ("dead-battery", "climate-102/battery", 1),
        // The air of a room is one: what cools it or heats it shows in nothing but its temperature.
        ("heating-at-night", "climate-102/temperature", 1),
        // Temperature and CO2.
        ("window-open", "climate-102/temperature", 2),
    ] {
        let changes = changes(&format!("{fault}@{place}+37h"), 4);
        let device = place.split('/').next().unwrap();
        assert_eq!(changes.len(), changed, "{fault}: {:?}", changes.keys());
        assert!(changes.keys().all(|(changed, _)| changed == device), "{fault}: {:?}", changes.keys());
        for ((_, metric), changed) in &changes {
            assert!(changed[0].0 >= 37.0, "{fault} {metric}: {:?}", changed[0]);
        }
    }
}

#[test]
fn a_stuck_sensor_repeats_its_last_value() {
    let faulty = series(&with("stuck@climate-101/co2+30h", 3));
    let co2 = of(&faulty, "climate-101", "co2");
    let before = *values(co2, 0.0..30.0).last().unwrap();
    assert!(values(co2, 30.0..72.0).iter().all(|value| *value == before));
}

#[test]
fn offset_drift_and_noise_are_as_large_as_they_say() {
    let temperature = ("climate-101".to_owned(), "temperature");
    let offset = &changes("offset@climate-101+30h", 4)[&temperature];
    assert!(offset.iter().all(|(_, change)| (change - 3.0).abs() < 0.11));
    let drift = &changes("drift@climate-101+24h", 4)[&temperature];
    assert!(drift.iter().all(|(hour, change)| (change - 0.4 * (hour - 24.0) / 24.0).abs() < 0.11));
    let noise = &changes("noise@climate-101+24h", 4)[&temperature];
    let square = noise.iter().map(|(_, change)| change * change).sum::<f64>() / (3.0 * 288.0);
    assert!((0.9..1.1).contains(&square.sqrt()), "{}", square.sqrt());
}

#[test]
fn a_spike_is_one_reading() {
    let changed = &changes("spike@climate-101+1801m", 3)[&("climate-101".to_owned(), "temperature")];
    assert_eq!(changed.len(), 1, "{changed:?}");
    let (hour, change) = changed[0];
    assert!((hour - 30.0 - 5.0 / 60.0).abs() < 1e-9, "the first reading after the start");
    assert!((change - 15.0).abs() < 0.11);
}

#[test]
fn a_lost_probe_shows_what_its_kind_shows() {
    for (place, metric, shown) in [
        ("climate-101", "temperature", &[-40.0, 85.0][..]),
        ("heating-105", "supply_temperature", &[-40.0, 85.0]),
        ("climate-101", "co2", &[0.0]),
    ] {
        let faulty = series(&with(&format!("dropout@{place}/{metric}+30h"), 2));
        let lost = values(of(&faulty, place, metric), 30.0..48.0);
        assert!(shown.contains(&lost[0]) && lost.iter().all(|value| *value == lost[0]), "{metric} {lost:?}");
    }
}

#[test]
fn a_dead_battery_is_empty_within_two_days() {
    let faulty = series(&with("dead-battery@climate-101+24h", 4));
    let battery = of(&faulty, "climate-101", "battery");
    assert!(smallest(&values(battery, 0.0..24.0)) > 60.0);
    assert!(largest(&values(battery, 75.0..96.0)) <= 2.0, "{battery:?}");
}

#[test]
fn heating_at_night_warms_the_room_or_the_circuit_with_its_rooms() {
    let room = changes("heating-at-night@climate-101+19h", 2);
    assert!(largest(&values(of(&room, "climate-101", "temperature"), 28.0..29.0)) > 1.5);
    let circuit = changes("heating-at-night@heating-101+19h", 2);
    let names: Vec<_> = circuit.keys().map(|(device, metric)| format!("{device} {metric}")).collect();
    let expected = ["climate-101 temperature", "climate-102 temperature", "heating-101 supply_temperature"];
    assert_eq!(names, expected);
    assert!(largest(&values(of(&circuit, "heating-101", "supply_temperature"), 20.0..29.0)) > 15.0);
}

#[test]
fn an_open_window_cools_and_freshens_the_room() {
    let faulty = series(&with("window-open@climate-101+36h", 2));
    let noon = |metric, from: f64| mean(&values(of(&faulty, "climate-101", metric), from..from + 3.0));
    assert!(noon("temperature", 37.0) < noon("temperature", 13.0) - 2.0);
    assert!(noon("co2", 37.0) < 520.0 && noon("co2", 13.0) > 560.0);
}

#[test]
fn invalid_settings_are_refused() {
    let error = |settings: Settings| Month::new(&settings).unwrap_err().to_string();
    assert!(error(Settings { every: Duration::from_secs(90), ..settings(2) }).contains("whole minutes"));
    assert!(error(Settings { every: Duration::ZERO, ..settings(2) }).contains("whole minutes"));
    let zone = error(Settings { zone: Some("cellar".to_owned()), ..settings(2) });
    assert!(zone.contains("`cellar`; there are outside, floor-1/east, floor-1/west"), "{zone}");
    assert!(error(with("stuck@lounge+1d", 2)).contains("no device `lounge`"));
    assert!(error(with("dead-battery@meter-101+1d", 2)).contains("dead-battery cannot happen to meter-101"));
    assert!(error(with("offset@climate-101/battery+1d", 2)).contains("climate-101/battery"));
    assert!(error(with("window-open@weather+1d", 2)).contains("window-open cannot happen to weather"));
    assert!(error(with("stuck+2d", 2)).contains("not before the end"));
    for far in [i64::MIN, i64::MAX] {
        let month = Month::new(&Settings { from: Timestamp::from_millis(far), ..settings(1) }).unwrap();
        assert_eq!(month.count(), 288 * 25, "any beginning will do");
    }
}

#[test]
fn a_fault_without_a_device_happens_to_the_first_suitable_device() {
    let month = Month::new(&with("dead-battery+1d", 2)).unwrap();
    let [happening] = month.planned_faults() else { panic!("{:?}", month.planned_faults()) };
    assert_eq!((&*happening.device, happening.metric), ("climate-101", Metric::Battery));
    assert_eq!(happening.from.to_string(), "2026-01-06T00:00:00.000Z");
}
