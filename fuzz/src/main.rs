//! The fuzzer of all targets: one program, since each program more is linked again. The environment variable FUZZ_TARGET
//! names the target.
#![no_main]

mod targets;

use std::sync::LazyLock;

static RUN: LazyLock<fn(&[u8])> =
    LazyLock::new(|| targets::by_name(&std::env::var("FUZZ_TARGET").expect("FUZZ_TARGET names the target")));

libfuzzer_sys::fuzz_target!(|data: &[u8]| RUN(data));
