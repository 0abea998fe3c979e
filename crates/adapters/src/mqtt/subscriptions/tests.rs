use proptest::prelude::*;

use super::*;
use crate::mqtt::TopicFilter;

fn merged(filters: &[&str]) -> Vec<String> {
    without_overlaps(filters.iter().map(|&filter| filter.to_owned()))
}

#[test]
fn filters_apart_stay_as_they_are() {
    let filters = ["sensors/data/+/+", "sensors/+/telemetry", "zigbee2mqtt/#", "$SYS/#"];
    assert_eq!(merged(&filters), filters);
}

#[test]
fn a_filter_within_another_is_left_out() {
    assert_eq!(merged(&["a/b", "a/#", "a/+/c"]), ["a/#"]);
    assert_eq!(merged(&["a", "a", "a/#"]), ["a/#"]);
    assert_eq!(merged(&["#", "a/b"]), ["#"]);
}

#[test]
fn two_that_overlap_in_part_become_one_that_holds_both() {
    assert_eq!(merged(&["a/+/c", "a/b/+"]), ["a/+/+"]);
    assert_eq!(merged(&["x/+", "a/+/c/d", "a/b/#"]), ["x/+", "a/+/#"]);
}

#[test]
fn system_topics_do_not_overlap_wildcards() {
    assert_eq!(merged(&["#", "$SYS/#"]), ["#", "$SYS/#"]);
}

proptest! {
    #[test]
    fn every_topic_is_delivered_once(
        filters in proptest::collection::vec("([ab$]|\\+)(/([ab]|\\+)){0,3}(/#)?", 1..6),
        topic in "[ab$](/[ab]){0,4}",
    ) {
        let matching = |filters: &[String]| {
            filters.iter().filter(|f| TopicFilter::parse(f).unwrap().matches(&topic).is_some()).count()
        };
        let merged = without_overlaps(filters.clone());
        prop_assert!(matching(&merged) <= 1, "{merged:?} and {topic}");
        if matching(&filters) > 0 {
            prop_assert_eq!(matching(&merged), 1, "{:?} and {}", merged, topic);
        }
    }
}
