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

#[test]
fn the_first_windows_of_asia_know_offsets_that_speed_up() {
    for region in [Region::As923, Region::In865] {
        let rx1 = |uplink, offset| region.rx1(923_200_000, uplink, offset).unwrap().1;
        assert_eq!(
            [rx1(2, 0), rx1(2, 2), rx1(2, 5), rx1(2, 6), rx1(2, 7), rx1(5, 7), rx1(7, 0)],
            [2, 0, 0, 3, 4, 5, 5]
        );
    }
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
