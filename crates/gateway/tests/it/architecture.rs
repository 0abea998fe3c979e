//! Compares the dependencies between our crates (docs/ARCHITECTURE.md) with what cargo would build.
//!
//! A new dependency changes the table here, in the same commit as a page in `docs/decisions/` that says why.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use cargo_metadata::{CargoOpt, DependencyKind, Metadata, MetadataCommand, Package};

/// Crate -> the crates it may depend on. The binary's crate is called `riser` and lies in `crates/gateway`.
const ALLOWED: &[(&str, &[&str])] = &[
    ("gateway-core", &[]),
    ("journal", &[]),
    ("outbox", &["journal"]),
    ("record", &["gateway-core"]),
    ("codecs", &["gateway-core", "wire"]),
    ("broker-engine", &[]),
    ("coap-link", &[]),
    ("lorawan-link", &[]),
    ("aggregator", &["gateway-core"]),
    ("anomaly", &["gateway-core"]),
    ("alerts", &["gateway-core"]),
    ("broker", &["broker-engine", "credentials", "gateway-core", "journal", "mqtt-link"]),
    ("credentials", &["gateway-core"]),
    ("gateway-http", &["alerts", "credentials", "gateway-core", "history", "pipeline", "read-model"]),
    ("history", &["gateway-core"]),
    ("mqtt-link", &["gateway-core"]),
    ("ble-link", &["gateway-core"]),
    ("read-model", &["gateway-core"]),
    (
        "adapters",
        &["ble-link", "coap-link", "codecs", "gateway-core", "lorawan-link", "mqtt-link", "read-model"],
    ),
    ("gateway-config", &["adapters", "alerts", "broker", "codecs", "gateway-core", "gateway-http", "sinks"]),
    ("simulator", &["ble-link", "coap-link", "gateway-core", "mqtt-link"]),
    ("sinks", &["gateway-core", "mqtt-link", "outbox", "record"]),
    (
        "pipeline",
        &[
            "aggregator",
            "alerts",
            "anomaly",
            "codecs",
            "gateway-core",
            "history",
            "journal",
            "outbox",
            "read-model",
            "record",
            // Its tests make frames of nodes.
            "wire",
        ],
    ),
    ("testkit", &["gateway-core"]),
    ("wire", &[]),
    // Its tests make real frames, read them as the gateway does, and compare times on air.
    ("battery", &["codecs", "gateway-core", "lorawan-link", "wire"]),
    (
        "riser",
        &[
            "ble-link",
            "coap-link",
            "gateway-config",
            "credentials",
            "gateway-core",
            "gateway-http",
            "journal",
            "outbox",
            "pipeline",
            "read-model",
            "codecs",
            "aggregator",
            "anomaly",
            "alerts",
            "battery",
            "broker",
            "history",
            "lorawan-link",
            "mqtt-link",
            "adapters",
            "simulator",
            "sinks",
        ],
    ),
];

/// Helps tests everywhere and is part of nothing that ships.
const TESTKIT: &str = "testkit";

fn workspace() -> Metadata {
    MetadataCommand::new()
        .features(CargoOpt::AllFeatures)
        .no_deps()
        .exec()
        .expect("cargo metadata reads this workspace")
}

fn crates(workspace: &Metadata) -> BTreeMap<&str, &Package> {
    workspace.workspace_packages().into_iter().map(|package| (package.name.as_str(), package)).collect()
}

fn may_see(from: &str, to: &str, kind: DependencyKind) -> bool {
    if to == TESTKIT {
        return kind == DependencyKind::Development;
    }
    ALLOWED.iter().any(|(krate, allowed)| *krate == from && allowed.contains(&to))
}

#[test]
fn crates_depend_only_on_what_the_table_allows() {
    let workspace = workspace();
    let crates = crates(&workspace);
    let mut wrong = Vec::new();
    for (from, package) in &crates {
        for dependency in package.dependencies.iter().filter(|d| crates.contains_key(d.name.as_str())) {
            if !may_see(from, &dependency.name, dependency.kind) {
                wrong.push(format!(
                    "  {from} -> {} ({}), in {}",
                    dependency.name, dependency.kind, package.manifest_path
                ));
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "dependencies that are not allowed:\n{}\n\
         Move what is shared into gateway-core, or pass it through the gateway; siblings never depend on each other, \
         and testkit is a dev-dependency only. If the dependency is right after all, add it to ALLOWED in {} together with \
         a page in docs/decisions/.",
        wrong.join("\n"),
        file!()
    );
}

#[test]
fn every_crate_has_a_row_in_the_table_and_every_row_a_crate() {
    let workspace = workspace();
    let members: BTreeSet<&str> = crates(&workspace).into_keys().collect();
    let rows: BTreeSet<&str> = ALLOWED.iter().map(|(krate, _)| *krate).collect();
    assert_eq!(rows.len(), ALLOWED.len(), "a crate has two rows in ALLOWED of {}", file!());
    assert_eq!(
        members,
        rows,
        "left: the workspace's crates; right: the rows of ALLOWED in {}. Give a new crate its row: which crates it may depend on.",
        file!()
    );
}

#[test]
fn nothing_depends_on_the_binary() {
    let workspace = workspace();
    let above: Vec<_> = crates(&workspace)
        .into_iter()
        .filter(|(_, package)| package.dependencies.iter().any(|d| d.name == "riser"))
        .map(|(name, _)| name)
        .collect();
    assert!(above.is_empty(), "{above:?} depend on riser: nothing may depend on the gateway");
}

/// Crates that know no protocol by name: what a protocol needs there is a mistake in a seam.
const NO_PROTOCOLS: &[&str] = &["gateway-core", "config", "pipeline"];

/// Names of protocols, in lower case.
const PROTOCOLS: &[&str] = &[
    "bacnet",
    "ble",
    "bluetooth",
    "coap",
    "dtls",
    "gatt",
    "knx",
    "lorawan",
    "modbus",
    "mqtt",
    "zigbee",
    "zigbee2mqtt",
];

#[test]
fn no_protocol_is_named_where_protocols_are_not_known() {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut named = Vec::new();
    for name in NO_PROTOCOLS {
        for file in sources(&crates.join(name).join("src")) {
            let text = std::fs::read_to_string(&file).unwrap();
            // Tests are about real protocols.
            let text = text.split("#[cfg(test)]").next().unwrap();
            for (number, line) in text.lines().enumerate() {
                let lower = line.to_lowercase();
                let mut words = lower.split(|c: char| !c.is_ascii_alphanumeric());
                if words.any(|word| PROTOCOLS.contains(&word)) {
                    named.push(format!("  {}:{}: {}", file.display(), number + 1, line.trim()));
                }
            }
        }
    }
    assert!(
        named.is_empty(),
        "a protocol is named in a crate that knows none ({}):\n{}\nMove it into the folder of its kind in crates/adapters.",
        NO_PROTOCOLS.join(", "),
        named.join("\n")
    );
}

/// All source files below a folder, without those that hold tests alone.
fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let stem = path.file_stem().unwrap().to_string_lossy().into_owned();
        if stem == "tests" || stem.ends_with("_tests") {
            continue;
        }
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found
}

/// Folder of the pipeline -> the folders, and the items of the crate itself, that it may use. Only what stands above one may use it: no cycles.
const PIPELINE: &[(&str, &[&str])] = &[
    ("engine", &[]),
    ("scripts", &[]),
    ("decode", &["engine", "scripts"]),
    ("deliver", &["engine", "scripts", "clock"]),
    ("durable", &["decode", "deliver", "engine"]),
    // These stand around the pipeline: it knows neither.
    ("observe", &["acknowledging", "clock", "deliver", "problems", "BytesWritten", "Control", "ModelCount"]),
    ("training", &["Control"]),
];

/// The files of a folder of the pipeline, with the one that carries its name.
fn files_of(folder: &str) -> Vec<PathBuf> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../pipeline/src");
    let inside = fs::read_dir(source.join(folder)).unwrap().map(|entry| entry.unwrap().path());
    let files: Vec<_> = inside.filter(|path| path.is_file()).collect();
    assert!(!files.is_empty(), "{folder} is empty");
    files.into_iter().chain([source.join(folder).with_extension("rs")]).collect()
}

#[test]
fn folders_of_the_pipeline_use_each_other_in_one_direction() {
    let mut wrong = Vec::new();
    for (folder, allowed) in PIPELINE {
        for file in files_of(folder) {
            let text = fs::read_to_string(&file).unwrap();
            let code = text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default();
            for line in code.lines().filter(|line| !line.trim_start().starts_with("//")) {
                let used = line.split("crate::").skip(1);
                let used =
                    used.filter_map(|rest| rest.split(|c: char| !c.is_alphanumeric() && c != '_').next());
                let is_wrong = |name: &&str| name != folder && !allowed.contains(name);
                wrong.extend(used.filter(is_wrong).map(|name| format!("{} -> {name}", file.display())));
            }
        }
    }
    assert!(wrong.is_empty(), "not in the table PIPELINE: {wrong:#?}");
}
