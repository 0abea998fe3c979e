//! Values that are too long, too many or out of range.

use super::*;

#[test]
fn names_that_become_parts_of_topics_and_accounts_have_a_limit() {
    let long = "n".repeat(65);
    let adapter = ADAPTER.replace("floor", &long);
    let prefix = "p".repeat(257);
    let found = findings(&format!("[gateway]\nid = \"{long}\"\nprefix = \"{prefix}\"\n{adapter}"), &[]);
    let expected = [
        "gateway.toml:2:1: error: gateway.id: has 65 characters; write at most 64".to_owned(),
        "gateway.toml:3:1: error: gateway.prefix: has 257 bytes; write at most 256".to_owned(),
        format!("gateway.toml:4:16: error: adapters.mqtt.{long}: its name has 65 bytes; write at most 64"),
    ];
    assert_eq!(found, expected);
    assert_eq!(findings(&ADAPTER.replace("floor", &"n".repeat(64)), &[]), Vec::<String>::new());
    let many: String = (0..257).map(|n| ADAPTER.replace("floor", &n.to_string())).collect();
    assert_eq!(
        findings(&many, &[]),
        ["gateway.toml:1:2: error: adapters: there are 257 adapters; configure at most 256"]
    );
}

#[test]
fn windows_have_limits() {
    finds(
        "[aggregate]\nwindow = \"1h\"\nevery = \"1s\"\n",
        &[
            "gateway.toml:3:1: error: aggregate.every: makes 3600 windows overlap; at most 60: write a longer one",
        ],
    );
    finds(
        "[aggregate]\nwindow = \"1m\"\nevery = \"5m\"\n",
        &[
            "gateway.toml:3:1: error: aggregate.every: is longer than window = \"1m\": readings between windows would be lost",
        ],
    );
}
