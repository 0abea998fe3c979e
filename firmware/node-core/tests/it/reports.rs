//! When a node measures and what it reports.

use node_core::wire::{Quantity, Tag};
use node_core::{Config, QuietHours, RamStore, Threshold};
use wire::Channel;

use crate::world::{World, reading};

const CONFIG: Config<'_> = Config::new("test 1.2.3");

#[test]
fn a_value_that_stays_is_reported_once_and_then_once_an_hour() {
    let world = World::new(|_| vec![reading(Quantity::Temperature, 2150), reading(Quantity::Battery, 97)]);
    world.live(7_300, &mut RamStore::<8>::new(), &CONFIG);
    let times = |name| world.received()[name].iter().map(|(at, _)| *at).collect::<Vec<_>>();
    assert_eq!(times("temperature"), [0, 3600, 7200]);
    assert_eq!(times("battery"), [0, 3600, 7200]);
    assert_eq!(world.firmware(), ["test 1.2.3"]);
    assert_eq!(world.measured_at.borrow().len(), 13, "every ten minutes");
}

#[test]
fn a_value_that_moves_is_reported_when_it_moved_by_the_threshold() {
    // 0.01 °C in ten minutes: never fast, 0.2 °C after 200 minutes.
    let world = World::new(|second| vec![reading(Quantity::Temperature, 2000 + (second / 600) as i64)]);
    let config = Config { heartbeat: 1_000_000, ..CONFIG };
    world.live(24_100, &mut RamStore::<8>::new(), &config);
    assert_eq!(
        world.received()["temperature"],
        [(0, Some(2000)), (12_000, Some(2020)), (24_000, Some(2040))]
    );

    let tag = Tag { quantity: Quantity::Temperature, channel: Channel::FIRST };
    let config = Config { thresholds: &[Threshold { tag, raw: 5 }], ..config };
    let world = World::new(|second| vec![reading(Quantity::Temperature, 2000 + (second / 600) as i64)]);
    world.live(6_100, &mut RamStore::<8>::new(), &config);
    assert_eq!(world.received()["temperature"], [(0, Some(2000)), (3_000, Some(2005)), (6_000, Some(2010))]);
}

#[test]
fn fast_changes_are_measured_every_minute_and_calm_ones_every_ten() {
    let world = World::new(|second| {
        let raw = if second < 7200 { 2000 } else { 2000 + second as i64 };
        vec![reading(Quantity::Temperature, raw)]
    });
    world.live(10_800, &mut RamStore::<8>::new(), &CONFIG);
    let measured_at = world.measured_at.borrow();
    let gaps = measured_at.windows(2).map(|pair| (pair[0], pair[1] - pair[0])).collect::<Vec<_>>();
    assert!(gaps.iter().filter(|(at, _)| *at < 7_200).all(|(_, gap)| *gap == 600), "{gaps:?}");
    assert!(gaps.iter().filter(|(at, _)| *at > 9_000).all(|(_, gap)| *gap == 60), "{gaps:?}");
}

#[test]
fn at_night_and_with_a_low_battery_a_node_measures_less_often() {
    let world = World::new(|second| {
        let battery = if second < 100_000 { 90 } else { 5 };
        vec![reading(Quantity::Temperature, 2000), reading(Quantity::Battery, battery)]
    });
    world.has_time.set(true);
    // The world begins at noon UTC.
    assert_eq!(crate::world::BEGAN_AT % 86_400, 0, "at midnight");
    let config = Config { quiet_hours: Some(QuietHours { from: 12, to: 13 }), ..CONFIG };
    world.live(120_000, &mut RamStore::<8>::new(), &config);
    let measured_at = world.measured_at.borrow();
    let gaps = |from: u64, to: u64| {
        let inside = measured_at.windows(2).filter(|pair| from <= pair[0] && pair[1] <= to);
        inside.map(|pair| pair[1] - pair[0]).collect::<Vec<_>>()
    };
    assert!(gaps(0, 43_000).iter().all(|gap| *gap == 600));
    assert!(gaps(43_200, 46_800).iter().all(|gap| *gap == 1200), "{:?}", gaps(43_200, 46_800));
    assert!(gaps(47_500, 99_000).iter().all(|gap| *gap == 600));
    assert!(gaps(101_000, 120_000).iter().all(|gap| *gap == 3600), "{:?}", gaps(101_000, 120_000));
}

#[test]
fn a_sensor_that_fails_is_reported_once_and_the_others_go_on() {
    let world = World::new(|second| {
        let temperature = (second < 3_000).then_some(2150);
        vec![reading(Quantity::Temperature, temperature), reading(Quantity::Humidity, 4500)]
    });
    world.live(3_500, &mut RamStore::<8>::new(), &CONFIG);
    assert_eq!(world.received()["temperature"], [(0, Some(2150)), (3_000, None)]);
    assert_eq!(world.received()["humidity"], [(0, Some(4500)), (3_000, Some(4500))]);
}

#[test]
fn a_value_that_cannot_be_is_none() {
    let world = World::new(|_| vec![reading(Quantity::Humidity, 12_000), reading(Quantity::Battery, 97)]);
    let (_, lost) = world.live(100, &mut RamStore::<8>::new(), &CONFIG);
    assert_eq!(world.received()["humidity"], [(0, None)]);
    assert_eq!(world.received()["battery"], [(0, Some(97))]);
    assert_eq!(lost, 0);
}

#[test]
fn without_any_sensor_a_node_only_says_which_image_it_runs() {
    let world = World::new(|_| Vec::new());
    world.live(2 * 86_400 + 10, &mut RamStore::<8>::new(), &CONFIG);
    assert_eq!(world.firmware(), ["test 1.2.3"; 3]);
    assert_eq!(world.frames.borrow().len(), 3);
}

#[test]
fn reports_wait_for_each_other_until_the_deadline_and_a_state_does_not_wait() {
    let world = World::new(|second| {
        let contact = i64::from(second >= 9_000);
        let raw = 2000 + (second / 600 * 30) as i64;
        vec![reading(Quantity::Temperature, raw), reading(Quantity::Contact, contact)]
    });
    let config = Config { deadline: 3_600, interval: 600, ..CONFIG };
    world.mtu.set(51);
    world.live(13_000, &mut RamStore::<8>::new(), &config);
    let frames: Vec<_> = world.frames.borrow().iter().map(|(at, frame)| (*at, frame.len())).collect();
    let changed_at = *world.measured_at.borrow().iter().find(|at| **at >= 9_000).unwrap();
    assert!(frames.iter().any(|(at, _)| *at == changed_at), "{frames:?}");
    assert!(frames.len() <= 6, "{frames:?}");
    assert!(frames.iter().filter(|(_, length)| *length > 30).count() >= 2, "{frames:?}");
    assert!(frames.iter().all(|(_, length)| *length <= 51), "{frames:?}");
    let received = &world.received()["temperature"];
    assert!(received.len() >= 14, "{received:?}");
    assert!(received.is_sorted());
}

#[test]
fn many_sensors_are_split_over_frames_that_fit() {
    let world = World::new(|_| {
        let all = [Quantity::Temperature, Quantity::Illuminance, Quantity::Voltage, Quantity::Power];
        let on = |channel| {
            all.map(|quantity| wire::Reading {
                quantity,
                channel: Channel::new(channel).unwrap(),
                raw: Some(1),
            })
        };
        [on(0), on(1)].concat()
    });
    world.mtu.set(22);
    let (_, lost) = world.live(100, &mut RamStore::<8>::new(), &CONFIG);
    let received = world.received();
    for name in ["temperature", "illuminance", "voltage", "power"] {
        assert_eq!(received[name], [(0, Some(1)), (0, Some(1))], "{name}");
    }
    assert_eq!(lost, 0);
    assert!(world.frames.borrow().len() > 3);
}
