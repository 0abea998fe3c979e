use super::*;

fn route(filter: &str, codec: u16, names_with_slashes: bool) -> Route {
    Route {
        filter: TopicFilter::parse(filter).unwrap(),
        codec: CodecId(codec),
        names_with_slashes,
        server: None,
    }
}

fn found(routes: &mut Routes, topic: &str) -> Option<(u16, Option<String>)> {
    routes.find(topic).map(|known| (known.codec.0, known.device.as_ref().map(ToString::to_string)))
}

#[test]
fn the_first_route_that_matches_wins_each_time() {
    let mut routes = Routes::new(vec![
        route("zigbee2mqtt/{device}", 0, true),
        route("zigbee2mqtt/bridge/{metric}", 1, false),
        route("+/{device}", 2, false),
    ]);
    for _ in 0..2 {
        assert_eq!(found(&mut routes, "zigbee2mqtt/lamp"), Some((0, Some("lamp".to_owned()))));
        assert_eq!(found(&mut routes, "zigbee2mqtt/bridge/state"), Some((1, None)));
        assert_eq!(found(&mut routes, "other/lamp"), Some((2, Some("lamp".to_owned()))));
        assert_eq!(found(&mut routes, "zigbee2mqtt/lamp/set"), None);
    }
    assert_eq!(routes.subscriptions(), ["+/#"]);
}

#[test]
fn remembers_the_last_payload_of_a_topic() {
    let mut routes = Routes::new(vec![route("{device}", 0, false)]);
    routes.find("a").unwrap().last_payload = Some(7);
    assert_eq!(routes.find("a").unwrap().last_payload, Some(7));
    assert_eq!(routes.find("b").unwrap().last_payload, None);
}

#[test]
fn a_flood_of_names_does_not_make_it_grow() {
    let mut routes = Routes::new(vec![route("s/{device}", 0, false)]);
    for number in 0..2 * Routes::MAX_CACHED + 10 {
        assert!(routes.find(&format!("s/{number}")).is_some());
        assert!(routes.known.len() <= Routes::MAX_CACHED);
    }
    let long = format!("s/{}", "x".repeat(10_000));
    let before = routes.known.len();
    assert_eq!(found(&mut routes, &long), Some((0, None)), "too long for a device's name");
    assert_eq!(routes.known.len(), before, "nor is it remembered");
}
