//! How much memory 500 codecs in JavaScript take: `cargo test -p codecs --release memory -- --nocapture` prints it.
//! In a process of its own: it looks at the process's memory.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test that cannot go on has failed"
)]

use codecs::javascript::{Call, Engine, Script};
use testkit::{alone, resident};

/// About 12 KB, the mean of those that vendors publish: a table and forty functions.
fn source(number: usize) -> String {
    let function = |n: usize| {
        format!(
            "function field{n}(bytes, offset) {{\n  // Reads a number of two bytes, and its sign.\n  \
             var value = (bytes[offset] << 8) | bytes[offset + 1];\n  if (value & 0x8000) {{ value -= 0x10000; }}\n  \
             return {{ name: 'field{n}', value: Math.round(value * 100 / {n}) / 100, unit: 'x', codec: {number} }};\n}}\n"
        )
    };
    let functions: String = (1..=40).map(function).collect();
    format!("{functions}function decodeUplink(input) {{ return {{ data: field7(input.bytes, 0) }}; }}\n")
}

#[test]
fn five_hundred_codecs_take_less_than_64_mib() {
    alone("memory::five_hundred_codecs_take_less_than_64_mib", measure);
}

fn measure() {
    let before = resident();
    let engine = Engine::default();
    let scripts: Vec<_> = (0..500).map(|n| Script::new("codec.js", &source(n), &engine).unwrap()).collect();
    for script in &scripts {
        let call =
            Call { bytes: &[0, 7], port: Some(1), received: "2026-11-20T10:00:00.000Z", device: Some("d") };
        assert_eq!(script.decode(&call).unwrap().data["value"], 1);
    }
    let taken = resident().saturating_sub(before) / 1024;
    println!("500 codecs of {} bytes: {taken} KiB, all of them asked", source(1).len());
    assert!(taken < 64 * 1024, "{taken} KiB");
}
