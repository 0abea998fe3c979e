use super::split;

#[test]
fn a_base_name_is_the_device_and_the_name_the_metric() {
    assert_eq!(
        split("urn:dev:mac:0024befffe804ff1/", "temp"),
        (Some("urn:dev:mac:0024befffe804ff1"), "temp")
    );
    assert_eq!(split("room", "temp"), (Some("room"), "temp"));
}

#[test]
fn a_device_urn_alone_measures_no_named_thing() {
    for (base, own) in [("urn:dev:ow:10e2073a01080063", ""), ("", "urn:dev:ow:10e2073a01080063")] {
        assert_eq!(split(base, own), (Some("urn:dev:ow:10e2073a01080063"), ""));
    }
}

#[test]
fn a_device_urn_ends_at_the_separator_after_its_id() {
    assert_eq!(split("", "urn:dev:ow:10e2073a:air:temp"), (Some("urn:dev:ow:10e2073a"), "air:temp"));
    assert_eq!(split("", "urn:dev:mac:0024_co2"), (Some("urn:dev:mac:0024"), "co2"));
}

#[test]
fn other_names_are_cut_at_their_last_separator() {
    assert_eq!(split("", "floor-1/lounge/temperature"), (Some("floor-1/lounge"), "temperature"));
    assert_eq!(split("", "temperature"), (None, "temperature"));
}
