//! What is generated is right and committed; and what no generator would write does not panic.

use super::*;

#[test]
fn the_example_is_right_as_it_is() {
    finds(&reference::example(), &[]);
}

#[test]
fn every_switched_off_line_of_the_example_fits() {
    let off = |line: &str| {
        let rest =
            line.strip_prefix('#').filter(|rest| rest.starts_with(|c: char| c.is_alphabetic() || c == '['));
        rest.map_or_else(|| line.to_owned(), str::to_owned)
    };
    let text = reference::example().lines().map(off).collect::<Vec<_>>().join("\n");
    // Files that are not there, passwords given twice and the like are reported; keys, types and words are all right.
    for line in findings(&text, &[]) {
        assert!(
            !line.contains("unknown key") && !line.contains("expected") && !line.contains("not TOML"),
            "{line}"
        );
        assert!(!line.contains("is not allowed") && !line.contains("no format"), "{line}");
    }
}

#[track_caller]
fn is_committed(file: &str, generated: &str, what: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(file);
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        committed == generated,
        "{file} is not what the code says; run: cargo run -- config {what} > {file}"
    );
}

#[test]
fn what_is_committed_is_what_the_code_says() {
    is_committed("gateway.toml", &reference::example(), "example");
    is_committed("docs/config.md", &reference::reference(), "reference");
    is_committed("docs/gateway.schema.json", &reference::schema(), "schema");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = from_bytes(Path::new("gateway.toml"), &bytes, Layers::default(), Timestamp::PLAUSIBLE);
    }

    /// Pieces of real files in any order reach further than bytes.
    #[test]
    fn no_pieces_make_it_panic(
        pieces in proptest::collection::vec(proptest::sample::select(PIECES.to_vec()), 0..30),
        value in "\\PC{0,12}",
    ) {
        let text = pieces.concat();
        let variables = vec![("RISER__ADAPTERS__MQTT".into(), value.clone().into()),
                             (format!("RISER__{value}").into(), value.into())];
        if let Err(error) = from_bytes(Path::new("gateway.toml"), text.as_bytes(), Layers { variables, ..Layers::default() }, Timestamp::PLAUSIBLE) {
            for line in error.to_string().lines() {
                prop_assert!(line.contains(": error: ") || line.contains(": warning: "), "{line}");
            }
        }
    }
}

const PIECES: &[&str] = &[
    "[gateway]\n",
    "[upstream]\n",
    "[upstream.outbox]\n",
    "[broker]\n",
    "[broker.users.a]\n",
    "[adapters.mqtt.x]\n",
    "[devices.d]\n",
    "[aggregate]\n",
    "[alerts.r]\n",
    "[[alerts]]\n",
    "id",
    "url",
    "listen",
    "topics",
    "window",
    "above",
    " = ",
    "1",
    "-1e308",
    "\"5m\"",
    "\"mqtt://h\"",
    "\"é\u{2028}\"",
    "true",
    "[",
    "]",
    "{ ",
    " }",
    ", ",
    "\n",
    "'''",
    "#",
];
