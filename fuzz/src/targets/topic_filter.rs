//! Topic filters of gateway.toml against hostile topics, and our two ways of matching against each other: the first
//! line is the filter, the second the topic.

use broker::{covers, validate_filter};
use mqtt_link::TopicFilter;

pub(crate) fn run(data: &[u8]) {
    let text = riser_fuzz::text(data);
    let (filter, topic) = text.split_once('\n').unwrap_or((text, "a/b"));
    let Ok(parsed) = TopicFilter::parse(filter) else { return };
    for names_with_slashes in [false, true] {
        let subscription = parsed.subscription(names_with_slashes);
        assert_eq!(validate_filter(&subscription), Ok(()));
        let captures =
            if names_with_slashes { parsed.matches_names_with_slashes(topic) } else { parsed.matches(topic) };
        // A topic of a PUBLISH holds no wildcards (MQTT 5, section 3.3.2.1).
        if captures.is_some() && !topic.contains(['+', '#']) {
            assert!(
                covers(&subscription, topic),
                "{filter} takes {topic}, {subscription} would not bring it"
            );
        }
        if let Some(device) = captures.and_then(|captures| captures.device) {
            assert!(topic.contains(device));
        }
    }
}
