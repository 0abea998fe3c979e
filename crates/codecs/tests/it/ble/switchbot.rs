//! SwitchBot.

use codecs::ble::BleProblem;

use crate::ble::support::Beacon;

fn device<'a>(service: &'a [(u16, &'a str)], maker: &'a [(u16, &'a str)]) -> Beacon<'a> {
    Beacon { service: service.to_vec(), maker: maker.to_vec(), ..Beacon::default() }
}

#[test]
fn meters() {
    let maker = [(0x0969, "A4C1380A0B0C 0100 05 95 37 0000 0320 00")];
    device(&[(0xfd3d, "7700D8")], &maker).measures(&[
        ("temperature", 21.5),
        ("humidity", 55.0),
        ("battery", 88.0),
    ]);
    device(&[(0xfd3d, "350058")], &maker).measures(&[
        ("temperature", 21.5),
        ("humidity", 55.0),
        ("battery", 88.0),
        ("co2", 800.0),
    ]);
    // Without the manufacturer's data the older meters send it in the service's; 1 in the highest bit is above zero.
    device(&[(0xfd3d, "5400580515B7")], &[]).measures(&[
        ("temperature", -21.5),
        ("humidity", 55.0),
        ("battery", 88.0),
    ]);
}

#[test]
fn doors_rooms_and_leaks() {
    device(&[(0xfd3d, "64405802000000 0003")], &[]).measures(&[
        ("contact", 0.0),
        ("occupancy", 1.0),
        ("light", 0.0),
        ("presses", 3.0),
        ("battery", 88.0),
    ]);
    device(&[(0xfd3d, "734058000002")], &[]).measures(&[
        ("occupancy", 1.0),
        ("light", 1.0),
        ("battery", 88.0),
    ]);
    device(&[(0xfd3d, "260058")], &[(0x0969, "A4C1380A0B0C 01 D8 01 00")]).measures(&[
        ("water_leak", 1.0),
        ("tamper", 0.0),
        ("battery", 88.0),
        ("battery_low", 1.0),
    ]);
}

#[test]
fn covers_plugs_and_locks() {
    device(&[(0xfd3d, "63C058")], &[(0x0969, "A4C1380A0B0C 0100 1E 31 04")]).measures(&[
        ("position", 70.0),
        ("moving", 0.0),
        ("light_level", 3.0),
        ("battery", 88.0),
    ]);
    device(&[(0xfd3d, "6A00")], &[(0x0969, "A4C1380A0B0C 01 80 00 32 00D7")])
        .measures(&[("state", 1.0), ("power", 21.5)]);
    device(&[(0xfd3d, "6F0058")], &[(0x0969, "A4C1380A0B0C 01 90 00 00")]).measures(&[
        ("lock", 1.0),
        ("contact", 1.0),
        ("battery", 88.0),
    ]);
    device(&[(0x0d00, "489058")], &[(0x0059, "A4C1380A0B0C")]).measures(&[("state", 1.0), ("battery", 88.0)]);
}

#[test]
fn a_model_in_four_bytes_is_found_at_the_end() {
    let panel =
        device(&[(0xfd3d, "00205F0010F3D840")], &[(0x0969, "A4C1380A0B0C 01 58 05 95 37 00000000 80 0000")]);
    panel.measures(&[("temperature", 21.5), ("humidity", 55.0), ("battery", 88.0), ("occupancy", 1.0)]);
}

#[test]
fn lights_fans_and_what_only_has_a_battery() {
    let light = [("state", 1.0), ("brightness", 48.0)];
    device(&[(0xfd3d, "720064")], &[(0x0969, "A4C1380A0B0C 0A B0 2000")]).measures(&light);
    device(&[(0xfd3d, "0000000010D0B4")], &[(0x0969, "A4C1380A0B0C 0A B0 2000")]).measures(&light);
    device(&[(0xfd3d, "7E0058")], &[(0x0969, "A4C1380A0B0C 01 80 58")])
        .measures(&[("state", 1.0), ("battery", 88.0)]);
    let vacuum = [(0x0969, "A4C1380A0B0C 01 01 111111 10 58 0F")];
    device(&[(0xfd3d, "2E0000")], &vacuum).measures(&[("battery", 88.0)]);
    device(&[(0xfd3d, "628058")], &[]).measures(&[("battery", 88.0)]);
}

#[test]
fn without_the_service_data_nobody_knows_the_model() {
    let problem = device(&[], &[(0x0969, "A4C1380A0B0C 0100 05 95 37 00")]).problem();
    assert!(problem.to_string().contains("actively"), "{problem}");
    assert!(matches!(device(&[(0xfd3d, "7F00")], &[]).problem(), BleProblem::Layout(_)));
}
