use std::collections::BTreeSet;

use super::*;

const LOUNGE: &str = "A4:C1:38:8D:18:B2";
const BTHOME: u128 = 0x0000_fcd2_0000_1000_8000_0080_5f9b_34fb;
/// iBeacon: UUID, major 100, minor 7, strength at 1 m.
const BEACON: [u8; 23] =
    [2, 21, 0, 17, 34, 51, 68, 85, 102, 119, 136, 153, 170, 187, 204, 221, 238, 255, 0, 100, 0, 7, 0xc5];
const BEACONS_NAME: &str = "00112233-4455-6677-8899-aabbccddeeff/100/7";

fn intake(change: impl FnOnce(&mut IntakeOptions)) -> Intake {
    let mut options = IntakeOptions {
        adapter: AdapterId::new("ble", "hall"),
        codec: CodecId(0),
        known: Arc::default(),
        only_known: false,
        alone: true,
        left_after: Duration::from_secs(60),
        receptions: ReceptionMap::default(),
    };
    change(&mut options);
    Intake::new(options)
}

fn sensor(address: &str) -> ScanResult {
    ScanResult {
        address: address.into(),
        rssi: Some(-60),
        name: Some("ATC".into()),
        services: Arc::new([]),
        service_data: vec![(BTHOME, vec![0x40, 0x02, 0xca, 0x09])],
        manufacturer_data: Vec::new(),
    }
}

fn beacon(address: &str) -> ScanResult {
    let manufacturer_data = vec![(0x004c, BEACON.to_vec())];
    ScanResult { service_data: Vec::new(), manufacturer_data, ..sensor(address) }
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_millis(second * 1_000)
}

/// Devices, and whether the message has a metric.
fn messages(intake: &mut Intake) -> Vec<(String, bool)> {
    let batch = intake.batch().into_iter();
    let message = |uplink: Uplink| (uplink.device.unwrap().as_str().to_owned(), uplink.metric.is_some());
    batch.map(message).collect()
}

#[test]
fn an_advertisement_is_passed_on_as_it_was_sent_with_its_rssi() {
    let mut intake = intake(|_| {});
    intake.receive(&sensor(LOUNGE), at(7), Instant::now());
    let uplink = intake.batch().pop().unwrap();
    assert_eq!(uplink.device.unwrap().as_str(), LOUNGE);
    assert_eq!((uplink.received_at, uplink.link.rssi), (at(7), Some(-60.0)));
    assert_eq!(*uplink.payload, *b"\x04\x09ATC\x07\x16\xd2\xfc\x40\x02\xca\x09");
}

#[test]
fn advertisements_of_unknown_formats_are_only_counted() {
    let mut intake = intake(|_| {});
    let phone = vec![(0x004c, vec![0x10, 0x05, 0x01])];
    let phone = ScanResult { service_data: Vec::new(), manufacturer_data: phone, ..sensor(LOUNGE) };
    intake.receive(&phone, at(0), Instant::now());
    assert!(!intake.has_pending());
    assert_eq!(intake.counts.unknown_format, 1);
}

#[test]
fn only_known_devices_count_if_configured_by_address_or_by_a_beacons_name() {
    let known = BTreeSet::from([LOUNGE.to_owned(), BEACONS_NAME.to_owned()]);
    let mut intake = intake(|options| (options.only_known, options.known) = (true, Arc::new(known)));
    for result in [sensor(LOUNGE), sensor("A4:C1:38:00:00:01"), beacon("C0:00:00:00:00:01")] {
        intake.receive(&result, at(0), Instant::now());
    }
    assert_eq!(messages(&mut intake), [(LOUNGE.to_owned(), false), (BEACONS_NAME.to_owned(), false)]);
    assert_eq!(intake.counts.unknown_device, 1);
}

#[test]
fn a_beacon_that_has_left_is_reported_once_under_its_name() {
    let known = BTreeSet::from([LOUNGE.to_owned()]);
    let mut intake = intake(|options| options.known = Arc::new(known));
    let start = Instant::now();
    intake.receive(&beacon(LOUNGE), at(0), start);
    intake.receive(&beacon("C0:00:00:00:00:01"), at(0), start);
    let result = [(LOUNGE.to_owned(), false), (BEACONS_NAME.to_owned(), false)];
    assert_eq!(messages(&mut intake), result);
    intake.report_absent_beacons(at(59), start + Duration::from_secs(59));
    assert!(!intake.has_pending());
    for _ in 0..2 {
        intake.report_absent_beacons(at(60), start + Duration::from_secs(60));
    }
    let mut left = messages(&mut intake);
    left.sort_unstable();
    assert_eq!(left, [(BEACONS_NAME.to_owned(), true), (LOUNGE.to_owned(), true)]);
}

#[test]
fn an_advertisement_that_another_adapter_received_first_is_only_counted() {
    let receptions = ReceptionMap::default();
    let two = |name| {
        let receptions = receptions.clone();
        intake(|options| {
            options.adapter = AdapterId::new("ble", name);
            (options.alone, options.receptions) = (false, receptions);
        })
    };
    let (mut hall, mut attic) = (two("hall"), two("attic"));
    let now = Instant::now();
    hall.receive(&sensor(LOUNGE), at(0), now);
    // bluetoothd knows its name on one adapter, and hears it more faintly.
    attic.receive(&ScanResult { name: None, rssi: Some(-90), ..sensor(LOUNGE) }, at(0), now);
    assert!(hall.has_pending() && !attic.has_pending());
    assert_eq!(attic.counts.elsewhere, 1);
}

#[test]
fn dropped_messages_are_counted_with_the_next_that_fits() {
    let mut intake = intake(|_| {});
    for _ in 0..MAX_PENDING + 5 {
        intake.receive(&sensor(LOUNGE), at(0), Instant::now());
    }
    while intake.has_pending() {
        assert!(intake.batch().iter().all(|uplink| uplink.lost_before == 0));
    }
    for lost in [5, 0] {
        intake.receive(&sensor(LOUNGE), at(1), Instant::now());
        assert_eq!(intake.batch().pop().unwrap().lost_before, lost);
    }
    assert_eq!(intake.counts.lost, 5);
}

#[test]
fn oversized_advertisements_are_only_counted() {
    let mut intake = intake(|_| {});
    intake.receive(
        &ScanResult { name: Some("x".repeat(300).into()), ..sensor(LOUNGE) },
        at(0),
        Instant::now(),
    );
    assert!(!intake.has_pending());
    assert_eq!(intake.counts.oversized, 1);
}
