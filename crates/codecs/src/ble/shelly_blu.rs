//! `shelly-blu`: Shelly's BLU devices. What they measure is BTHome, see [`super::bthome`]; here is which model it is.
//!
//! Source: shelly-api-docs.shelly.cloud, "Shelly BLU: manufacturer data" of company 0x0BA9: blocks of a type and data whose
//! length follows from it: 1 flags (2 bytes), 10 address (6), 11 model (2).

use super::Bytes;
use super::advertisement::Advertisement;

pub(super) const COMPANY: u16 = 0x0ba9;

const MODELS: [(u16, &str); 7] = [
    (0x0001, "SBBT-002C"),
    (0x0002, "SBDW-002C"),
    (0x0003, "SBHT-003C"),
    (0x0005, "SBMO-003Z"),
    (0x0006, "SBBT-004CEU"),
    (0x0007, "SBBT-004CUS"),
    (0x0008, "SBTR-001AEU"),
];

/// The model, by its number or its name.
pub(super) fn model<'a>(advertisement: &Advertisement<'a>) -> Option<&'a str> {
    let by_number = advertisement
        .manufacturer(COMPANY)
        .and_then(number)
        .and_then(|number| MODELS.iter().find(|(known, _)| *known == number).map(|(_, model)| *model));
    by_number.or_else(|| advertisement.name().filter(|name| name.starts_with("SB")))
}

fn number(data: Bytes<'_>) -> Option<u16> {
    let mut rest = data;
    loop {
        let length = match rest.u8(0).ok()? {
            1 => 2,
            10 => 6,
            11 => return rest.u16(1).ok(),
            _ => return None,
        };
        rest = rest.from(1 + length).ok()?;
    }
}
