use proptest::prelude::*;

use super::*;

/// Section 4.7 by recursion over whole lists of levels.
fn matches_naively(filter: &[&str], topic: &[&str]) -> bool {
    match (filter.first(), topic.first()) {
        (Some(&"#"), _) => true,
        (None, None) => true,
        (Some(&level), Some(&name)) if level == "+" || level == name => {
            matches_naively(&filter[1..], &topic[1..])
        }
        _ => false,
    }
}

fn levels(text: &str) -> Vec<&str> {
    text.split('/').collect()
}

#[test]
fn a_permission_covers_what_lies_within_it() {
    for (allowed, wanted) in [
        ("#", "a/b"),
        ("#", "#"),
        ("sensors/#", "sensors/a/b"),
        ("sensors/#", "sensors"),
        ("sensors/#", "sensors/+/b"),
        ("sensors/#", "sensors/#"),
        ("sensors/+/b", "sensors/a/b"),
        ("+/+", "a/"),
        ("$SYS/#", "$SYS/broker/uptime"),
    ] {
        assert!(covers(allowed, wanted), "{allowed} covers {wanted}");
    }
}

#[test]
fn a_permission_does_not_cover_more_than_itself() {
    for (allowed, wanted) in [
        ("sensors/+", "sensors/#"),
        ("sensors/+", "sensors"),
        ("sensors/a", "sensors/+"),
        ("sensors/a", "sensors/a/b"),
        ("sensors/a", "sensors/a/#"),
        ("sensors/+/b", "sensors/#"),
        ("sensors/#", "#"),
        ("#", "$SYS/broker"),
        ("+/broker", "$SYS/broker"),
        ("sensors/#", "sensorsx"),
    ] {
        assert!(!covers(allowed, wanted), "{allowed} does not cover {wanted}");
    }
}

#[test]
fn refuses_wildcards_in_the_wrong_place() {
    for filter in ["", "a/#/b", "a#", "a/b+", "a/\0"] {
        assert!(validate_filter(filter).is_err(), "{filter}");
    }
    for filter in ["#", "+", "a/+/b/#", "/", "$SYS/#"] {
        assert_eq!(validate_filter(filter), Ok(()), "{filter}");
    }
}

#[test]
fn patterns_stand_for_names_and_never_for_more() {
    let may = |filter: &str, wanted: &str, user: Option<&str>, client: &str| {
        Permission::new(filter).covers(wanted, user, client)
    };
    assert!(may("sensors/%c/#", "sensors/dev1/t", None, "dev1"));
    assert!(!may("sensors/%c/#", "sensors/dev2/t", None, "dev1"));
    assert!(may("%u/%c", "ann/dev1", Some("ann"), "dev1"));
    assert!(!may("%u/#", "/x", None, "dev1"), "an anonymous client has no name");
    for name in ["+", "#", "a/b", "", "+/#"] {
        assert!(!may("sensors/%c/#", "sensors/dev2/t", None, name), "{name}");
        assert!(!may("%u/#", "ann/t", Some(name), "dev1"), "{name}");
    }
    assert!(may("a/%c", "a/%u", Some("ann"), "%u"), "a name is not read as a pattern");
    assert!(may("100%/x", "100%/x", None, "dev1"), "a percent sign alone is one");
}

proptest! {
    #[test]
    fn agrees_with_a_naive_matcher_on_topics(filter in "([ab]|\\+)(/([ab]|\\+)){0,3}(/#)?", topic in "[ab](/[ab]){0,4}") {
        prop_assert_eq!(covers(&filter, &topic), matches_naively(&levels(&filter), &levels(&topic)));
    }

    #[test]
    fn what_a_covered_filter_matches_the_permission_matches(
        allowed in "([ab]|\\+)(/([ab]|\\+)){0,3}(/#)?",
        wanted in "([ab]|\\+)(/([ab]|\\+)){0,3}(/#)?",
        topic in "[ab](/[ab]){0,4}",
    ) {
        if covers(&allowed, &wanted) && covers(&wanted, &topic) {
            prop_assert!(covers(&allowed, &topic));
        }
    }

    #[test]
    fn never_panics(allowed in ".*", wanted in ".*") {
        let _ = (covers(&allowed, &wanted), validate_filter(&wanted));
    }
}
