//! AD structures: parsed, built, and refused.

use codecs::ble::advertisement::{Builder, Entry, MAX_BYTES};
use codecs::ble::{Advertisement, AdvertisementProblem, Uuid};

use crate::ble::support::hex;

#[test]
fn what_was_built_is_what_is_read() {
    let long: Uuid = "ef090000-11d6-42ba-93b8-9dd7ec090ab0".parse().unwrap();
    let mut builder = Builder::new();
    builder.name("Fläche 7").unwrap().uuid(Uuid::short(0xfee5)).unwrap().uuid(long).unwrap();
    builder.service_data(Uuid::short(0xfcd2), &[0x40]).unwrap().service_data(long, &[1, 2]).unwrap();
    builder.manufacturer_data(0x0499, &[3]).unwrap();
    let bytes = builder.build();
    let read = Advertisement::parse(&bytes).unwrap();
    assert_eq!(read.name(), Some("Fläche 7"));
    assert!(read.offers(long) && read.offers(Uuid::short(0xfee5)) && !read.offers(Uuid::short(0xfee6)));
    assert_eq!(read.service(long).unwrap().0, [1, 2]);
    assert_eq!(read.service(Uuid::short(0xfcd2)).unwrap().0, [0x40]);
    assert_eq!(read.manufacturer(0x0499).unwrap().0, [3]);
}

#[test]
fn lists_of_services_hold_several() {
    let bytes = hex("02 01 06  05 03 0a18 0f18  05 05 78563412  03 08 4142  03 09 4344");
    let read = Advertisement::parse(&bytes).unwrap();
    let uuids: Vec<_> = read
        .entries()
        .map(|entry| match entry {
            Entry::Uuid(uuid) => uuid,
            other => panic!("{other:?}"),
        })
        .collect();
    let long = "12345678-0000-1000-8000-00805f9b34fb".parse().unwrap();
    assert_eq!(uuids, [Uuid::short(0x180a), Uuid::short(0x180f), long]);
    assert_eq!(read.name(), Some("CD"), "the complete name");
}

#[test]
fn a_length_of_nought_ends_the_list() {
    let bytes = hex("02 01 06 00 ff ff ff");
    assert_eq!(Advertisement::parse(&bytes).unwrap().entries().count(), 0);
}

#[test]
fn a_structure_that_is_too_long_is_told_with_its_place() {
    let bytes = hex("02 01 06 05 16 d2fc 40");
    assert_eq!(Advertisement::parse(&bytes).unwrap_err(), AdvertisementProblem::Truncated { at: 3 });
    assert_eq!(Advertisement::parse(&[0; MAX_BYTES + 1]).unwrap_err(), AdvertisementProblem::TooLong);
}

#[test]
fn what_does_not_fit_is_not_built() {
    let mut builder = Builder::new();
    assert_eq!(
        builder.manufacturer_data(1, &[0; 253]).unwrap_err(),
        AdvertisementProblem::StructureTooLong { bytes: 255 }
    );
    for _ in 0..MAX_BYTES / 256 {
        builder.manufacturer_data(1, &[0; 252]).unwrap();
    }
    assert_eq!(builder.name("a").unwrap_err(), AdvertisementProblem::TooLong);
}

#[test]
fn a_uuid_has_all_its_digits() {
    for wrong in ["", "fcd2", "0000fcd2-0000-1000-8000-00805f9b34fg", "0000fcd2-0000-1000-8000-00805f9b34fb0"]
    {
        assert_eq!(wrong.parse::<Uuid>(), Err(AdvertisementProblem::Uuid), "{wrong}");
    }
}
