//! Sensors of rooms and outdoors.

use codecs::ble::BleProblem;

use crate::ble::support::Beacon;

#[test]
fn ruuvi_5_as_its_documentation_has_it() {
    let tag = Beacon {
        maker: vec![(0x0499, "05 12FC 5394 C37C 0004 FFFC 040C AC36 42 00CD CBB8334C884F")],
        ..Beacon::default()
    };
    tag.measures(&[
        ("temperature", 24.3),
        ("humidity", 53.49),
        ("pressure", 1000.44),
        ("acceleration_x", 0.04),
        ("acceleration_y", -0.04),
        ("acceleration_z", 10.16),
        ("voltage", 2.977),
        ("tx_power", 4.0),
        ("movements", 66.0),
    ]);
    let none = Beacon {
        maker: vec![(0x0499, "05 8000 FFFF FFFF 8000 8000 8000 FFFF FF FFFF FFFFFFFFFFFF")],
        ..Beacon::default()
    };
    none.measures(&[]);
}

#[test]
fn ruuvi_3_6_and_e1() {
    let old = Beacon { maker: vec![(0x0499, "03 29 8145 CE1E FC18 03E8 0000 0BB8")], ..Beacon::default() };
    old.measures(&[
        ("humidity", 20.5),
        ("temperature", -1.69),
        ("pressure", 1027.66),
        ("acceleration_x", -9.81),
        ("acceleration_y", 9.81),
        ("acceleration_z", 0.0),
        ("voltage", 3.0),
    ]);
    let air = Beacon {
        maker: vec![(0x0499, "06 170C 5668 C79E 0070 00C9 05 01 D9 FF CD C0 4C884F")],
        ..Beacon::default()
    };
    air.measures(&[
        ("temperature", 29.5),
        ("humidity", 55.3),
        ("pressure", 1011.02),
        ("pm25", 11.2),
        ("co2", 201.0),
        ("voc_index", 11.0),
        ("nox_index", 3.0),
        ("illuminance", 13_027.0),
    ]);
    let long =
        "E1 170C 5668 C79E 0065 0070 FFFF 11CA FFFF 0A 02 000064 000000 DECDEE 40 0000000000 CBB8334C884F";
    let long = Beacon { maker: vec![(0x0499, long)], ..Beacon::default() };
    long.measures(&[
        ("temperature", 29.5),
        ("humidity", 55.3),
        ("pressure", 1011.02),
        ("pm1", 10.1),
        ("pm25", 11.2),
        ("pm10", 455.4),
        ("voc_index", 21.0),
        ("nox_index", 4.0),
        ("illuminance", 1.0),
    ]);
    let sealed = Beacon { maker: vec![(0x0499, "08 00")], ..Beacon::default() };
    assert!(matches!(sealed.problem(), BleProblem::Closed(_)));
}

#[test]
fn pvvx_and_atc1441() {
    let pvvx =
        Beacon { service: vec![(0x181a, "0C0B0A38C1A4 18FC 7C15 860B 58 07 04")], ..Beacon::default() };
    pvvx.measures(&[("temperature", -10.0), ("humidity", 55.0), ("voltage", 2.95), ("battery", 88.0)]);
    let atc = Beacon { service: vec![(0x181a, "A4C1380A0B0C FF9C 37 58 0B86 07")], ..Beacon::default() };
    atc.measures(&[("temperature", -10.0), ("humidity", 55.0), ("voltage", 2.95), ("battery", 88.0)]);
    let other = Beacon { service: vec![(0x181a, "00")], ..Beacon::default() };
    assert!(matches!(other.problem(), BleProblem::Layout(_)));
}

#[test]
fn govee() {
    let packed = |data| Beacon { name: "GVH5075_0B0C", maker: vec![(0xec88, data)], ..Beacon::default() };
    // 21.5 °C and 55.0 % are 215,550.
    packed("00 0349FE 58 00").measures(&[("temperature", 21.5), ("humidity", 55.0), ("battery", 88.0)]);
    packed("00 8349FE 58 00").measures(&[("temperature", -21.5), ("humidity", 55.0), ("battery", 88.0)]);
    packed("00 0349FE D8 00").measures(&[("battery", 88.0)]);
    let plain =
        Beacon { name: "Govee_H5074_0B0C", maker: vec![(0xec88, "00 6608 7C15 58 02")], ..Beacon::default() };
    plain.measures(&[("temperature", 21.5), ("humidity", 55.0), ("battery", 88.0)]);
    let glued = "0101 0349FE 58 4C000215494E54454C4C495F524F434B535F48575075F2FF0C";
    let glued = Beacon { name: "GVH5103_0B0C", maker: vec![(0x0001, glued)], ..Beacon::default() };
    glued.measures(&[("temperature", 21.5), ("humidity", 55.0), ("battery", 88.0)]);
    let co2 =
        Beacon { name: "GV51400B0C", maker: vec![(0x0001, "0101 0349FE 0320 00")], ..Beacon::default() };
    co2.measures(&[("temperature", 21.5), ("humidity", 55.0), ("co2", 800.0)]);
    // -2.5 °C, 55.1 %, 7 µg/m³ are 25,551,007.
    let air = Beacon { name: "GVH5106_0B0C", maker: vec![(0x0001, "0101 8185E09F")], ..Beacon::default() };
    air.measures(&[("temperature", -2.5), ("humidity", 55.1), ("pm25", 7.0)]);
    let remote =
        Beacon { name: "B51780B0C", maker: vec![(0x0001, "0101 01 0349FE 58 00 02")], ..Beacon::default() };
    remote.measures(&[("remote_temperature", 21.5), ("remote_humidity", 55.0), ("remote_battery", 88.0)]);
    let present = Beacon { maker: vec![(0x8803, "EC0001 01 01 11")], ..Beacon::default() };
    present.measures(&[("presence", 1.0), ("occupancy", 1.0)]);
}

#[test]
fn qingping() {
    let data = "0815 0C0B0A38C1A4 01 04 D7FF 2602 02 01 58 13 02 2003 07 02 9527 7F 01 00";
    let all = Beacon { service: vec![(0xfdcd, data)], ..Beacon::default() };
    all.measures(&[
        ("temperature", -4.1),
        ("humidity", 55.0),
        ("battery", 88.0),
        ("co2", 800.0),
        ("pressure", 1013.3),
    ]);
    let motion = Beacon { service: vec![(0xfdcd, "0812 0C0B0A38C1A4 08 04 01 2C0100")], ..Beacon::default() };
    motion.measures(&[("occupancy", 1.0), ("illuminance", 300.0)]);
    let broken = Beacon { service: vec![(0xfdcd, "0812 0C0B0A38C1A4 08 04 01")], ..Beacon::default() };
    assert_eq!(broken.problem(), BleProblem::TooShort);
}

#[test]
fn aranet() {
    // Behind the version, three bytes that are not described.
    let four = Beacon {
        name: "Aranet4 0B0C",
        maker: vec![(0x0702, "21 0A0401 0C0F01 01 2003 AE01 9527 37 58 01 2C01 7800 05")],
        ..Beacon::default()
    };
    four.measures(&[
        ("co2", 800.0),
        ("temperature", 21.5),
        ("pressure", 1013.3),
        ("humidity", 55.0),
        ("battery", 88.0),
    ]);
    assert_eq!(four.data()["firmware"], "1.4.10");
    let two = Beacon {
        name: "Aranet2 0B0C",
        maker: vec![(0x0702, "01 21 0A0401 0C0F01 0000 AE01 0000 2602 00 58 00 2C01 7800 05")],
        ..Beacon::default()
    };
    two.measures(&[("temperature", 21.5), ("humidity", 55.0), ("battery", 88.0)]);
    let radiation = Beacon {
        name: "Aranet☢ 0B0C",
        maker: vec![(0x0702, "02 21 0A0401 0C 40420F00 100E0000 8200 00 58 00 2C01 7800 05")],
        ..Beacon::default()
    };
    radiation.measures(&[
        ("radiation_dose", 0.001),
        ("radiation_duration", 3600.0),
        ("radiation_rate", 0.13),
        ("battery", 88.0),
    ]);
    let radon = Beacon {
        name: "AranetRn+ 0B0C",
        maker: vec![(0x0702, "03 21 0A0401 0C0F01 5000 AE01 9527 2602 00 58 01 5802 7800 05")],
        ..Beacon::default()
    };
    radon.measures(&[
        ("radon", 80.0),
        ("temperature", 21.5),
        ("pressure", 1013.3),
        ("humidity", 55.0),
        ("battery", 88.0),
    ]);
    let shut =
        Beacon { name: "Aranet4 0B0C", maker: vec![(0x0702, "01 0A0401 0C0F01")], ..Beacon::default() };
    assert!(shut.problem().to_string().contains("Smart Home integrations"));
}

#[test]
fn sensirion() {
    let gadget = |data| Beacon { name: "MyCO2", maker: vec![(0x06d5, data)], ..Beacon::default() };
    gadget("0008 AB12 4761 CC8C 2003").measures(&[("temperature", 21.5), ("humidity", 55.0), ("co2", 800.0)]);
    gadget("0006 AB12 4761 EB7C").measures(&[("temperature", 21.5), ("humidity", 55.0)]);
    let all = gadget("001A AB12 4761 CC8C 2003 6400 0100 7000");
    let climate = [("temperature", 21.5), ("humidity", 55.0), ("co2", 800.0)];
    all.measures(&[&climate[..], &[("voc_index", 100.0), ("nox_index", 1.0), ("pm25", 11.2)]].concat());
    assert!(matches!(gadget("00FF AB12").problem(), BleProblem::Layout(_)));
    assert_eq!(gadget("0008 AB12 4761 CC8C 20").problem(), BleProblem::TooShort);
}

#[test]
fn inkbird() {
    let short = Beacon { name: "sps", maker: vec![(0x0866, "7C15 00 0000 58 08")], ..Beacon::default() };
    short.measures(&[("temperature", 21.5), ("humidity", 55.0), ("battery", 88.0)]);
    let pool = Beacon { name: "tps", maker: vec![(0xfc18, "0000 00 0000 58 08")], ..Beacon::default() };
    pool.measures(&[("temperature", -10.0), ("battery", 88.0)]);
    let long =
        Beacon { maker: vec![(0x2449, "08120000 D700 2602 58 00 64 08 00000000")], ..Beacon::default() };
    long.measures(&[("temperature", 21.5), ("humidity", 55.0), ("battery", 88.0)]);
    let damaged = Beacon { name: "sps", maker: vec![(0x0866, "FFFF 00 0000 58 08")], ..Beacon::default() };
    assert_eq!(damaged.problem(), BleProblem::Implausible("humidity"));
    let air = Beacon { maker: vec![(0x3254, "006200010203 00 02 0307 0226 0320 91")], ..Beacon::default() };
    air.measures(&[("temperature", 25.28), ("humidity", 55.0), ("co2", 800.0)]);
    let connects = Beacon { name: "INT-11P-B", maker: vec![(0x0628, "0ac67b90")], ..Beacon::default() };
    assert!(matches!(connects.problem(), BleProblem::Closed(_)));
}

#[test]
fn thermopro_hygrometers() {
    let one = |name| Beacon { name, maker: vec![(0xd7c2, "00 37 02 2C 01")], ..Beacon::default() };
    one("TP357S (0B0C)").measures(&[("temperature", 21.5), ("humidity", 55.0), ("battery", 100.0)]);
    one("TP393 (0B0C)").measures(&[("temperature", 21.5), ("humidity", 55.0), ("battery", 100.0)]);
}

#[test]
fn thermobeacon() {
    let room = |data| Beacon { name: "ThermoBeacon", maker: vec![(0x0011, data)], ..Beacon::default() };
    room("0080 0C0B0A38C1A4 B80B 5801 7003 00000000").measures(&[
        ("temperature", 21.5),
        ("humidity", 55.0),
        ("voltage", 3.0),
        ("battery", 100.0),
        ("button", 1.0),
    ]);
    room("0000 0C0B0A38C1A4 B80B 5801 7003 00000000 0000").measures(&[]);
    let damaged = room("0000 0C0B0A38C1A4 B80B 5801 FFFF 00000000");
    assert_eq!(damaged.problem(), BleProblem::Implausible("humidity"));
}

#[test]
fn sensorpush() {
    // (21.5 + 40) / 0.0025 + 66,001 × 55 / 0.0025.
    let packed = 24_600_u64 + 66_001 * 22_000;
    let bytes = packed.to_le_bytes();
    let company = u16::from(bytes[0]) << 8 | 1 << 2;
    let data: String = bytes[1..4].iter().map(|byte| format!("{byte:02x}")).collect();
    let room = Beacon { name: "SensorPush HT.w 0B0C", maker: vec![(company, &data)], ..Beacon::default() };
    room.measures(&[("temperature", 21.5), ("humidity", 55.0)]);
    let page =
        Beacon { name: "SensorPush HT.w 0B0C", maker: vec![(company | 1, &data)], ..Beacon::default() };
    page.measures(&[]);
    // Raw words of an SHT2x: temperature 6,373 of 16,384, humidity 1,999 of 4,096.
    let bits = (1_u32 << 26 | 6373 << 12 | 1999).to_le_bytes();
    let company = u16::from_le_bytes([bits[0], bits[1]]);
    let data = format!("{:02x}{:02x}", bits[2], bits[3]);
    let old = Beacon { name: "s", maker: vec![(company, &data)], ..Beacon::default() };
    old.measures(&[("temperature", 21.5), ("humidity", 55.0)]);
}

#[test]
fn sensorpro_and_mopeka() {
    let room =
        Beacon { maker: vec![(0xaa55, "0101 A4C1380A0B0C 0107 0866 157C 58 0001")], ..Beacon::default() };
    room.measures(&[("voltage", 2.63), ("temperature", 21.5), ("humidity", 55.0), ("battery", 88.0)]);
    // 3 V, 20 °C, button, level 1,000 of quality 3.
    let tank = Beacon { maker: vec![(0x0059, "03 60 BC E8C3 0A0B0C 80 7F")], ..Beacon::default() };
    tank.measures(&[
        ("battery_voltage", 3.0),
        ("battery", 100.0),
        ("temperature", 20.0),
        ("button", 1.0),
        ("quality", 3.0),
        ("level", 0.384),
    ]);
    let somebody_else = Beacon { maker: vec![(0x0059, "03 60 BC E8C3 000000 80 7F")], ..Beacon::default() };
    assert_eq!(somebody_else.problem(), BleProblem::Unknown);
}

#[test]
fn tags_of_other_makers() {
    let disc = Beacon { maker: vec![(0x0133, "17 58 0E10 0001 00D7 0226 0078 0000")], ..Beacon::default() };
    disc.measures(&[("battery", 88.0), ("temperature", 21.5), ("humidity", 55.0), ("dew_point", 12.0)]);
    let pressure =
        Beacon { maker: vec![(0x0133, "1B 58 0E10 0001 FFD7 0226 2795 0000")], ..Beacon::default() };
    pressure.measures(&[("battery", 88.0), ("temperature", -4.1), ("humidity", 55.0), ("pressure", 1013.3)]);
    let eye = Beacon { maker: vec![(0x089a, "01 B7 0866 37 8003 0A FFF6 64")], ..Beacon::default() };
    eye.measures(&[
        ("temperature", 21.5),
        ("humidity", 55.0),
        ("contact", 0.0),
        ("moving", 1.0),
        ("movements", 3.0),
        ("pitch", 10.0),
        ("roll", -10.0),
        ("battery_low", 0.0),
        ("voltage", 3.0),
    ]);
    let puck = Beacon { maker: vec![(0x0757, "21 37 00 6608"), (0x0757, "F1 58")], ..Beacon::default() };
    puck.measures(&[("temperature", 21.5), ("humidity", 55.0), ("battery", 88.0)]);
    let tag = Beacon {
        maker: vec![(0x094f, "01 00 0000 0001 00FF 0000 8015 10270000 01 58")],
        ..Beacon::default()
    };
    tag.measures(&[
        ("acceleration_x", 1.0),
        ("acceleration_y", -1.0),
        ("acceleration_z", 0.0),
        ("temperature", 21.5),
        ("uptime", 10_000.0),
        ("contact", 1.0),
        ("tilt", 0.0),
        ("drop", 0.0),
        ("impact", 0.0),
        ("battery", 88.0),
    ]);
    let plant = Beacon { service: vec![(0xfd50, "28 00D7 00012C 58 0257")], ..Beacon::default() };
    plant.measures(&[
        ("moisture", 40.0),
        ("temperature", 21.5),
        ("illuminance", 300.0),
        ("battery", 88.0),
        ("conductivity", 599.0),
    ]);
    let beacon = "0215 EBEFD08370A247C89837E7B5634DF525 6147 8CCC C5 58";
    let beacon = Beacon { maker: vec![(0x004c, beacon)], ..Beacon::default() };
    beacon.measures(&[("temperature", 21.5), ("humidity", 55.0), ("battery", 88.0)]);
    let service = Beacon { service: vec![(0xf525, "58 0C0B0A38C1A4 6147 8CCC")], ..Beacon::default() };
    service.measures(&[("temperature", 21.5), ("humidity", 55.0), ("battery", 88.0)]);
}
