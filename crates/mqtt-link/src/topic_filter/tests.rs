use proptest::prelude::*;

use super::*;

fn filter(text: &str) -> TopicFilter {
    TopicFilter::parse(text).unwrap()
}

fn captured<'t>(text: &str, topic: &'t str) -> Option<(Option<&'t str>, Option<&'t str>)> {
    filter(text).matches(topic).map(|found| (found.device, found.metric))
}

fn zigbee<'t>(text: &str, topic: &'t str) -> Option<&'t str> {
    filter(text).matches_names_with_slashes(topic)?.device
}

#[test]
fn captures_say_what_a_level_is() {
    assert_eq!(captured("sensors/{device}/telemetry", "sensors/a/telemetry"), Some((Some("a"), None)));
    assert_eq!(captured("sensors/data/{device}/{metric}", "sensors/data/a/t"), Some((Some("a"), Some("t"))));
    assert_eq!(captured("v3/+/devices/{device}/up", "v3/app/devices/a/up"), Some((Some("a"), None)));
    assert_eq!(captured("tele/{device}/#", "tele/a/SENSOR/x"), Some((Some("a"), None)));
    assert_eq!(captured("tele/{device}/#", "tele/a"), Some((Some("a"), None)));
    assert_eq!(captured("#", "any/thing"), Some((None, None)));
    assert_eq!(captured("{device}", "a"), Some((Some("a"), None)));
}

#[test]
fn other_topics_do_not_match() {
    for (text, topic) in [
        ("sensors/{device}/telemetry", "sensors/a"),
        ("sensors/{device}/telemetry", "sensors/a/telemetry/x"),
        ("sensors/{device}/telemetry", "sensors/a/b/telemetry"),
        ("sensors/{device}", "other/a"),
        ("tele/{device}/#", "tele"),
        ("{device}/x", "$SYS/x"),
        ("#", "$SYS/broker"),
        ("+/broker", "$SYS/broker"),
        ("#", ""),
    ] {
        assert_eq!(captured(text, topic), None, "{text} and {topic}");
    }
    assert_eq!(captured("$SYS/broker/{metric}", "$SYS/broker/uptime"), Some((None, Some("uptime"))));
}

#[test]
fn subscribes_with_wildcards_for_captures() {
    for (text, plain, with_slashes) in [
        ("sensors/{device}/{metric}", "sensors/+/+", "sensors/+/+"),
        ("zigbee2mqtt/{device}", "zigbee2mqtt/+", "zigbee2mqtt/#"),
        ("{device}", "+", "#"),
        ("a/{device}/#", "a/+/#", "a/+/#"),
        ("#", "#", "#"),
        ("a/+/b", "a/+/b", "a/+/b"),
    ] {
        assert_eq!(filter(text).subscription(false), plain);
        assert_eq!(filter(text).subscription(true), with_slashes);
    }
}

#[test]
fn zigbee2mqtt_names_may_hold_slashes() {
    assert_eq!(zigbee("zigbee2mqtt/{device}", "zigbee2mqtt/lamp"), Some("lamp"));
    assert_eq!(zigbee("zigbee2mqtt/{device}", "zigbee2mqtt/kitchen/lamp"), Some("kitchen/lamp"));
    assert_eq!(zigbee("home/z2m/{device}", "home/z2m/kitchen/lamp"), Some("kitchen/lamp"));
}

#[test]
fn zigbee2mqtt_availability_belongs_to_the_device_before_it() {
    assert_eq!(zigbee("zigbee2mqtt/{device}", "zigbee2mqtt/lamp/availability"), Some("lamp"));
    assert_eq!(zigbee("zigbee2mqtt/{device}", "zigbee2mqtt/kitchen/lamp/availability"), Some("kitchen/lamp"));
}

#[test]
fn what_zigbee2mqtt_says_besides_readings_is_no_device() {
    for topic in [
        "zigbee2mqtt",
        "zigbee2mqtt/",
        "zigbee2mqtt/bridge",
        "zigbee2mqtt/bridge/state",
        "zigbee2mqtt/bridge/devices",
        "zigbee2mqtt/lamp/set",
        "zigbee2mqtt/kitchen/lamp/set",
        "zigbee2mqtt/lamp/set/brightness",
        "zigbee2mqtt/lamp/get",
        "zigbee2mqtt/lamp/get/brightness",
        "zigbee2mqtt/availability",
        "other/lamp",
    ] {
        assert_eq!(zigbee("zigbee2mqtt/{device}", topic), None, "{topic}");
    }
    assert_eq!(zigbee("{device}", "$SYS/broker"), None);
    assert_eq!(zigbee("zigbee2mqtt/{device}", "zigbee2mqtt/bridgehead"), Some("bridgehead"));
}

#[test]
fn refuses_what_is_no_filter_and_says_what_is_allowed() {
    for (text, word) in [
        ("", "empty"),
        ("a/#/b", "last"),
        ("a#", "whole level"),
        ("a/b+", "whole level"),
        ("a/x{device}", "whole levels"),
        ("a/{room}", "only {device} and {metric}"),
        ("a/{device", "only {device} and {metric}"),
        ("{device}/{device}", "once"),
        ("{metric}/a/{metric}", "once"),
        ("$share/g/a", "$share"),
        ("a\0", "NUL"),
    ] {
        let error = TopicFilter::parse(text).unwrap_err().to_string();
        assert!(error.contains(word), "{text}: {error}");
    }
}

/// Section 4.7 by recursion over whole lists of levels.
fn matches_naively(filter: &[&str], topic: &[&str]) -> bool {
    match (filter.first(), topic.first()) {
        (Some(&"#"), _) | (None, None) => true,
        (Some(&level), Some(&name)) if level == name || level == "+" || level.starts_with('{') => {
            matches_naively(&filter[1..], &topic[1..])
        }
        _ => false,
    }
}

proptest! {
    #[test]
    fn agrees_with_a_naive_matcher(
        text in "([ab$]|\\+)(/([ab]|\\+)){0,2}(/\\{device\\})?(/([ab]|\\+)){0,2}(/\\{metric\\})?(/#)?",
        topic in "[ab$]?(/[ab]?){0,5}",
    ) {
        let levels = |text: &'static str| text.split('/').collect::<Vec<_>>();
        let (filter_levels, topic_levels) = (levels(text.clone().leak()), levels(topic.clone().leak()));
        let hidden = topic.starts_with('$') && !text.starts_with('$');
        let expected = !topic.is_empty() && !hidden && matches_naively(&filter_levels, &topic_levels);
        let found = filter(&text).matches(&topic);
        prop_assert_eq!(found.is_some(), expected, "{} and {}", text, topic);
        if let Some(captures) = found {
            let at = filter_levels.iter().position(|&level| level == "{device}");
            prop_assert_eq!(captures.device, at.map(|at| topic_levels[at]));
        }
    }

    #[test]
    fn what_matches_is_covered_by_the_subscription(
        text in "([ab]|\\+)(/([ab]|\\+)){0,2}(/\\{device\\})?",
        topic in "[ab](/[ab]){0,5}",
    ) {
        let filter_with_names = filter(&text);
        let subscribed = |slashes| filter(&filter_with_names.subscription(slashes)).matches(&topic).is_some();
        prop_assert_eq!(filter_with_names.matches(&topic).is_some(), subscribed(false));
        if filter_with_names.matches_names_with_slashes(&topic).is_some() {
            prop_assert!(subscribed(true));
        }
    }

    #[test]
    fn never_panics(text in ".*", topic in ".*") {
        if let Ok(filter) = TopicFilter::parse(&text) {
            let _ = (filter.matches(&topic), filter.matches_names_with_slashes(&topic), filter.subscription(true));
        }
    }

    #[test]
    fn never_panics_on_what_looks_like_a_filter(text in "[/+#{}$a-d]{0,12}", topic in "[/+#$a-d]{0,12}") {
        if let Ok(filter) = TopicFilter::parse(&text) {
            let _ = (filter.matches(&topic), filter.matches_names_with_slashes(&topic), filter.subscription(true));
        }
    }
}
