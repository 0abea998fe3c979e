use super::*;

#[test]
fn regions_read_from_their_names() {
    for region in Region::ALL {
        assert_eq!(region.name().to_lowercase().parse(), Ok(region));
    }
    assert!("EU433".parse::<Region>().is_err());
}

#[test]
fn the_first_window_of_europe_slows_down_by_the_offset() {
    let rx1 = |uplink, offset| Region::Eu868.rx1(868_100_000, uplink, offset).unwrap();
    assert_eq!(rx1(5, 0), (868_100_000, 5));
    assert_eq!(rx1(5, 3), (868_100_000, 2));
    assert_eq!(rx1(1, 5), (868_100_000, 0));
    assert_eq!(rx1(7, 1), (868_100_000, 6));
}

/// RP002-1.0.4, tables 19 (US915) and 40 (AU915).
#[test]
fn the_first_windows_of_the_americas_and_australia_are_those_of_the_tables() {
    let us = [[10, 9, 8, 8], [11, 10, 9, 8], [12, 11, 10, 9], [13, 12, 11, 10], [13, 13, 12, 11]];
    for (uplink, row) in (0..).zip(us) {
        for (offset, expected) in (0..).zip(row) {
            let (_, number) = Region::Us915.rx1(902_300_000, uplink, offset).unwrap();
            assert_eq!(number, expected, "US915 DR{uplink} offset {offset}");
        }
    }
    let au = [
        [8, 8, 8, 8, 8, 8],
        [9, 8, 8, 8, 8, 8],
        [10, 9, 8, 8, 8, 8],
        [11, 10, 9, 8, 8, 8],
        [12, 11, 10, 9, 8, 8],
        [13, 12, 11, 10, 9, 8],
        [13, 13, 12, 11, 10, 9],
    ];
    for (uplink, row) in (0..).zip(au) {
        for (offset, expected) in (0..).zip(row) {
            let (_, number) = Region::Au915.rx1(915_200_000, uplink, offset).unwrap();
            assert_eq!(number, expected, "AU915 DR{uplink} offset {offset}");
        }
    }
}

/// RP002-1.0.4, 2.10.7 and 2.12.7; offsets 6 and 7 speed up. IN865 has no DR6.
#[test]
fn the_first_windows_of_asia_know_offsets_that_speed_up() {
    let as923 = [
        [0, 0, 0, 0, 0, 0, 1, 2],
        [1, 0, 0, 0, 0, 0, 2, 3],
        [2, 1, 0, 0, 0, 0, 3, 4],
        [3, 2, 1, 0, 0, 0, 4, 5],
        [4, 3, 2, 1, 0, 0, 5, 6],
        [5, 4, 3, 2, 1, 0, 6, 7],
        [6, 5, 4, 3, 2, 1, 7, 7],
        [7, 6, 5, 4, 3, 2, 7, 7],
    ];
    let without_dr6 = |number| if number == 6 { 5 } else { number };
    for (uplink, row) in (0..).zip(as923) {
        for (offset, expected) in (0..).zip(row) {
            let rx1 = |region: Region| region.rx1(923_200_000, uplink, offset).unwrap().1;
            assert_eq!(rx1(Region::As923), expected, "AS923 DR{uplink} offset {offset}");
            if uplink != 6 {
                assert_eq!(rx1(Region::In865), without_dr6(expected), "IN865 DR{uplink} offset {offset}");
            }
        }
    }
}

/// Data rates with the most bytes of FOpts and FRMPayload (N), default second window, greatest EIRP, numbers of power.
#[test]
fn data_rates_sizes_and_powers_are_those_of_the_tables() {
    let slow = [(12, 125, 51), (11, 125, 51), (10, 125, 51), (9, 125, 115), (8, 125, 242), (7, 125, 242)];
    let wide = [(12, 500, 53), (11, 500, 129), (10, 500, 242), (9, 500, 242), (8, 500, 242), (7, 500, 242)];
    let us = [(10, 125, 11), (9, 125, 53), (8, 125, 125), (7, 125, 242), (8, 500, 242)];
    // From DR2 on under a dwell time of 400 ms.
    let asia = [(12, 125, 51), (11, 125, 51), (10, 125, 11), (9, 125, 53), (8, 125, 125), (7, 125, 242)];
    let has = |region: Region, first: u8, rows: &[(u8, u16, usize)]| {
        for (number, (factor, bandwidth, size)) in (first..).zip(rows) {
            let found = (region.data_rate(number), region.max_payload(number));
            assert_eq!(found, (Some(DataRate::lora(*factor, *bandwidth)), *size), "{region} DR{number}");
        }
    };
    let fsk = |region: Region| region.data_rate(7) == Some(DataRate::Fsk { bit_rate: 50_000 });
    for region in [Region::Eu868, Region::In865] {
        has(region, 0, &slow);
        assert!(fsk(region));
    }
    has(Region::Eu868, 6, &[(7, 250, 242)]);
    has(Region::As923, 0, &asia);
    has(Region::As923, 6, &[(7, 250, 242)]);
    assert!(fsk(Region::As923));
    has(Region::Us915, 0, &us);
    has(Region::Au915, 0, &slow);
    has(Region::Au915, 6, &[(8, 500, 242)]);
    for region in [Region::Us915, Region::Au915] {
        has(region, 8, &wide);
    }
    assert_eq!(
        (Region::In865.data_rate(6), Region::Us915.data_rate(5), Region::Au915.data_rate(7)),
        (None, None, None)
    );
    for (region, rx2, eirp, limits) in [
        (Region::Eu868, (869_525_000, 0), 16, (5, 7)),
        (Region::Us915, (923_300_000, 8), 30, (3, 14)),
        (Region::Au915, (923_300_000, 8), 30, (5, 14)),
        (Region::As923, (923_200_000, 2), 16, (5, 7)),
        (Region::In865, (866_550_000, 2), 30, (5, 10)),
    ] {
        let (first, _) =
            region.rx1(if region == Region::Us915 { 902_300_000 } else { 915_200_000 }, 0, 0).unwrap();
        let eirp_outside = if region == Region::Eu868 { 868_100_000 } else { first };
        assert_eq!(
            (region.rx2(), region.max_eirp(eirp_outside), region.adr_limits()),
            (rx2, eirp, limits),
            "{region}"
        );
    }
}

/// ERC Recommendation 70-03, annex 1, and ETSI EN 300 220-2.
#[test]
fn the_sub_bands_of_europe_have_their_shares() {
    let bands = Region::Eu868.sub_bands().iter();
    let rows: Vec<_> =
        bands.map(|band| (band.from / 1_000, band.to / 1_000, band.per_mille, band.max_eirp)).collect();
    let expected = [
        (863_000, 865_000, 1, 16),
        (865_000, 868_000, 10, 16),
        (868_000, 868_600, 10, 16),
        (868_700, 869_200, 1, 16),
        (869_400, 869_650, 100, 29),
        (869_700, 870_000, 10, 16),
    ];
    assert_eq!(rows, expected);
}

#[test]
fn downlinks_of_fixed_plans_have_channels_of_their_own() {
    let us = |frequency| Region::Us915.rx1(frequency, 0, 0).map(|(frequency, _)| frequency);
    assert_eq!(us(902_300_000), Some(923_300_000));
    assert_eq!(us(903_700_000), Some(927_500_000));
    assert_eq!(us(903_900_000), Some(923_300_000));
    assert_eq!(us(903_000_000), Some(923_300_000), "channel 64");
    assert_eq!(us(914_200_000), Some(927_500_000), "channel 71");
    assert_eq!(us(902_350_000), None);
    assert_eq!(us(1), None);
    let au = |frequency| Region::Au915.rx1(frequency, 0, 0).map(|(frequency, _)| frequency);
    assert_eq!((au(915_400_000), au(917_500_000)), (Some(923_900_000), Some(923_900_000)));
}

#[test]
fn the_second_window_has_a_data_rate_of_its_region() {
    for region in Region::ALL {
        let (frequency, number) = region.rx2();
        assert!(region.data_rate(number).is_some(), "{region}");
        assert!(region.max_payload(number) >= 11);
        assert!(region.max_eirp(frequency) >= 16);
    }
}

#[test]
fn uplink_numbers_are_found_among_those_for_uplinks() {
    assert_eq!(Region::Us915.uplink_number(DataRate::lora(8, 500)), Some(4));
    assert_eq!(Region::Us915.uplink_number(DataRate::lora(7, 500)), None);
    assert_eq!(Region::Eu868.uplink_number(DataRate::Fsk { bit_rate: 50_000 }), Some(7));
    assert_eq!(Region::Eu868.uplink_number(DataRate::lora(12, 125)), Some(0));
    assert_eq!(Region::In865.uplink_number(DataRate::lora(7, 250)), None);
}

#[test]
fn channel_lists_are_frequencies_in_europe_and_a_mask_in_america() {
    let list = Region::Eu868.cf_list(None).unwrap();
    assert_eq!(list[..3], [0x18, 0x4f, 0x84], "867.1 MHz in steps of 100 Hz");
    assert_eq!(list[15], 0);
    let list = Region::Us915.cf_list(Some(1)).unwrap();
    assert_eq!(list, [0, 0xff, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 1]);
    assert_eq!((Region::Us915.cf_list(None), Region::Us915.cf_list(Some(8))), (None, None));
    assert_eq!(Region::In865.cf_list(None), None);
}

#[test]
fn the_second_window_of_europe_may_be_loud_and_the_first_not() {
    let region = Region::Eu868;
    assert_eq!((region.max_eirp(868_100_000), region.max_eirp(869_525_000)), (16, 29));
    let share = |frequency| region.sub_band(frequency).map(|band| region.sub_bands()[band].per_mille);
    assert_eq!([share(867_100_000), share(868_100_000), share(869_525_000)], [Some(10), Some(10), Some(100)]);
    assert_eq!(share(869_300_000), None);
}
