//! The examples in docs/formats.md are true: each fenced JSON payload makes the metrics that the lines below it list.

use crate::formats::support::Message;

const DOCS: &str = include_str!("../../../../../docs/formats.md");

/// (format, payload, the text below it) of each fenced example.
fn examples() -> Vec<(&'static str, &'static str, &'static str)> {
    let mut found = Vec::new();
    for section in DOCS.split("\n## ").skip(1) {
        let (format, text) = section.split_once('\n').unwrap();
        for example in text.split("```json\n").skip(1) {
            let (payload, below) = example.split_once("\n```\n").unwrap();
            found.push((format, payload, below.split("\n\n").next().unwrap()));
        }
    }
    found
}

/// The pairs of `` `name` number `` in a text.
fn listed(text: &str) -> Vec<(String, f64)> {
    let parts: Vec<_> = text.split('`').collect();
    let pairs = parts.windows(2).skip(1).step_by(2);
    let number = |text: &str| {
        let word = text.split_whitespace().next()?;
        word.trim_end_matches([',', '.']).parse().ok()
    };
    let mut pairs: Vec<_> = pairs.filter_map(|it| Some((it[0].to_owned(), number(it[1])?))).collect();
    pairs.sort_by(|a, b| a.0.cmp(&b.0));
    pairs
}

#[test]
fn every_payload_in_the_docs_makes_the_metrics_listed_below_it() {
    let examples = examples();
    assert_eq!(examples.len(), 7, "json, senml, zigbee2mqtt, tasmota and ttn show one each, chirpstack two");
    for (codec, payload, below) in examples {
        let message = Message { codec, payload, ..Message::default() };
        assert_eq!(message.metrics(), listed(below), "{codec}: {below}");
    }
}

#[test]
fn every_format_has_its_section() {
    for name in codecs::Codec::NAMES {
        assert!(DOCS.contains(&format!("\n## {name}\n")), "{name}");
    }
}
