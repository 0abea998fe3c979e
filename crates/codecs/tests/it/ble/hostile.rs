//! Bytes that no honest device sends: nothing panics, and what is refused leaves nothing behind.

use codecs::ble::{Ble, Keys};
use codecs::{Codec, Measurements};
use proptest::prelude::*;

use crate::ble::support::{ADDRESS, Beacon, hex, input};

/// One of each format, to be damaged.
const SEEDS: [(&str, u16, &str, bool); 27] = [
    ("", 0xfcd2, "40 00 01 02 CA 09 3A 01 3C 02 03 53 02 4142", true),
    ("", 0xfcd2, "41 00112233 44556677 8899AABB", true),
    ("", 0x181c, "23 02 CA 09 43 02 00 3C", true),
    ("", 0xfe95, "7050 5b05 01 0C0B0A38C1A4 20 01 0d10 04 D7FF 2602", true),
    ("", 0xfe95, "5858 5b05 50 0C0B0A38C1A4 95EF58763C 260000 97E2ABB5", true),
    ("", 0xfe95, "5830 b603 50 0C0B0A38C1A4 95EF58763C26 000000 97", true),
    ("", 0x181a, "0C0B0A38C1A4 18FC 7C15 860B 58 07 04", true),
    ("", 0xfdcd, "0815 0C0B0A38C1A4 01 04 D7FF 2602", true),
    ("", 0xfd3d, "00205F0010F3D840", true),
    ("", 0xfeaa, "10 E7 03 6578616D706C65 07", true),
    ("", 0x181b, "02 26 B207 01 01 01 01 01 F401 A438", true),
    ("", 0x0499, "05 12FC 5394 C37C 0004 FFFC 040C AC36 42 00CD CBB8334C884F", false),
    ("Aranet4 0B0C", 0x0702, "21 0A0401 0C0F01 01 2003 AE01 9527 37 58 01 2C01 7800 05", false),
    ("", 0x06d5, "0008 AB12 4761 CC8C 2003", false),
    ("", 0xef88, "0102 03040506 000102030405060708090A0B0C0D0E0F 0000", false),
    ("GVH5184", 0x1b36, "2001000101E40286 0866 FFFF 86 FFFF FFFF", false),
    ("sps", 0x0866, "7C15 00 0000 58 08", false),
    ("TP972S", 0x7200, "006a0a33d3b8420040ae426606ae426c54737744f8", false),
    ("SensorPush HT.w", 0x0001, "003fff", false),
    ("", 0x004c, "0215 A495BB10C5B14B44B5121370F02D74DE 0044 0400 C5", false),
    ("", 0x0969, "A4C1380A0B0C 01 58 05 95 37 00000000 80 0000", false),
    ("", 0x0133, "17 58 0E10 0001 00D7 0226 0078 0000", false),
    ("", 0x089a, "01 B7 0866 37 8003 0A FFF6 64", false),
    ("", 0x094f, "01 00 0000 0001 00FF 0000 8015 10270000 01 58", false),
    ("", 0xfd50, "28 00D7 00012C 58 0257", true),
    ("", 0xf525, "58 0C0B0A38C1A4 6147 8CCC", true),
    ("", 0x00dc, "03210C 03 80 01 1E 01 02 0A 04", false),
];

fn built(seed: &(&str, u16, &str, bool)) -> Vec<u8> {
    let (name, id, data, is_service) = *seed;
    let entry = vec![(id, data)];
    let (service, maker) = if is_service { (entry, Vec::new()) } else { (Vec::new(), entry) };
    Beacon { name, service, maker }.bytes()
}

fn listeners() -> [Codec; 2] {
    let mut keys = Keys::new();
    keys.insert(ADDRESS.parse().unwrap(), "00112233445566778899aabbccddeeff".parse().unwrap());
    [Codec::ble(Ble::new(Keys::new())), Codec::ble(Ble::alone(keys))]
}

fn hear(payload: &[u8]) {
    let mut out = Measurements::new();
    for codec in listeners() {
        for address in [ADDRESS, "", "not an address"] {
            let decoded = codec.decode(&input(payload, address, 0), &mut out);
            assert!(decoded.is_ok() || out.is_empty());
            assert!(out.iter().all(|it| it.value.is_finite()));
            let _ = codec.data(&input(payload, address, 0));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn any_bytes(payload in proptest::collection::vec(any::<u8>(), 0..64)) {
        hear(&payload);
    }

    #[test]
    fn damaged_advertisements(
        seed in 0..SEEDS.len(),
        changes in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 0..4),
        end in any::<proptest::sample::Index>(),
    ) {
        let mut payload = built(&SEEDS[seed]);
        for (place, byte) in changes {
            let place = place.index(payload.len());
            payload[place] = byte;
        }
        hear(&payload);
        hear(&payload[..end.index(payload.len())]);
    }

    /// The structures stay whole, so that every decoder sees data of any length.
    #[test]
    fn data_of_any_length(seed in 0..SEEDS.len(), data in proptest::collection::vec(any::<u8>(), 0..40), keep in 0_usize..6) {
        let (name, id, known, is_service) = SEEDS[seed];
        let mut bytes = hex(known);
        bytes.truncate(keep);
        bytes.extend(data);
        let data: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        hear(&built(&(name, id, &data, is_service)));
    }
}
