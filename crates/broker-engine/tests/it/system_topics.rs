//! `$SYS`: what is there, and that the documentation has it.

use std::collections::BTreeMap;

use broker_engine::Limits;

use crate::client::{Got, publish, subscribe};
use crate::world::World;

impl World {
    fn figures(&mut self) -> BTreeMap<String, String> {
        let reader = self.connect(4, "figures", true, 0);
        self.send(reader, &subscribe(4, 1, "$SYS/#", 0));
        let got = self.got(reader);
        self.lose(reader);
        let value = |one| match one {
            Got::Publish { topic, payload, .. } => Some((topic, String::from_utf8(payload).unwrap())),
            _ => None,
        };
        got.into_iter().filter_map(value).collect()
    }
}

#[test]
fn load_and_drops_by_cause_are_told() {
    let mut world = World::new(Limits::default());
    world.wait(10);
    let from = world.connect(4, "from", true, 0);
    for _ in 0..5 {
        world.send(from, &publish(4, "secret/x", b"1", 0, 0, &[]));
    }
    world.wait(10);
    let figures = world.figures();
    assert_eq!(figures["$SYS/riser/dropped/not_permitted"], "5");
    // 5 in 10 s are 30 a minute; a sixth of the first minute has gone by.
    let wanted = 30.0 * (1.0 - (-1.0_f64 / 6.0).exp());
    assert_eq!(figures["$SYS/broker/load/publish/received/1min"], format!("{wanted:.2}"));
    assert!(figures["$SYS/broker/load/connections/15min"].parse::<f64>().unwrap() > 0.0);
}

#[test]
fn each_topic_is_in_the_documentation() {
    let docs = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/broker.md")).unwrap();
    let mut world = World::new(Limits::default());
    world.wait(10);
    let figures = world.figures();
    assert!(figures.len() > 50);
    for topic in figures.keys() {
        let name = topic.strip_prefix("$SYS/").unwrap();
        let row = |row: &&str| {
            row.starts_with("| `") && row.contains(&format!("`{}/", name.split_once('/').unwrap().0))
        };
        let is_there = docs.lines().filter(row).any(|row| {
            let quoted: Vec<&str> = row.split('`').skip(1).step_by(2).collect();
            let of = |prefix: &str| quoted.iter().any(|last| format!("{prefix}{last}") == name);
            let load = |prefix: &str| {
                let times = ["/1min", "/5min", "/15min"];
                times.iter().any(|time| {
                    quoted.contains(time)
                        && name
                            .strip_suffix(time)
                            .is_some_and(|name| quoted.iter().any(|last| format!("{prefix}{last}") == name))
                })
            };
            of("") || quoted.iter().any(|prefix| prefix.ends_with('/') && (of(prefix) || load(prefix)))
        });
        assert!(is_there, "{topic} is missing in docs/broker.md");
    }
}
