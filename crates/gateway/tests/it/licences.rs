//! Every crate that Riser is built on comes under a licence of deny.toml's list, whatever the target and features.
//!
//! The same list serves `cargo deny check licenses`; this test needs no network, so every test run holds it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::collections::BTreeSet;
use std::path::Path;

use cargo_metadata::{CargoOpt, MetadataCommand};

fn allow_list() -> BTreeSet<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deny.toml");
    let text = std::fs::read_to_string(&path).expect("deny.toml lies beside the workspace's Cargo.toml");
    let deny: toml::Table = toml::from_str(&text).expect("deny.toml is TOML");
    deny["licenses"]["allow"]
        .as_array()
        .expect("[licenses] allow is a list")
        .iter()
        .map(|licence| licence.as_str().expect("each licence is an SPDX id").to_owned())
        .collect()
}

/// Can the SPDX `expression` be met with `allowed` licences alone? `AND` binds closer than `OR`; `/` is the old `OR`.
fn satisfied(expression: &str, allowed: &BTreeSet<String>) -> bool {
    let spaced = expression.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
    let mut words = spaced.split_whitespace().peekable();
    let met = any_of(&mut words, allowed);
    met && words.next().is_none()
}

type Words<'a> = std::iter::Peekable<std::str::SplitWhitespace<'a>>;

fn any_of(words: &mut Words<'_>, allowed: &BTreeSet<String>) -> bool {
    let mut met = all_of(words, allowed);
    while words.next_if_eq(&"OR").is_some() {
        // Not `||`: the words of the other side have to be read in any case.
        met |= all_of(words, allowed);
    }
    met
}

fn all_of(words: &mut Words<'_>, allowed: &BTreeSet<String>) -> bool {
    let mut met = one(words, allowed);
    while words.next_if_eq(&"AND").is_some() {
        met &= one(words, allowed);
    }
    met
}

fn one(words: &mut Words<'_>, allowed: &BTreeSet<String>) -> bool {
    match words.next() {
        Some("(") => {
            let met = any_of(words, allowed);
            met & (words.next() == Some(")"))
        }
        Some(licence) => {
            let exception = words.next_if_eq(&"WITH").and_then(|_| words.next());
            let full = exception.map_or_else(|| licence.to_owned(), |e| format!("{licence} WITH {e}"));
            allowed.contains(&full)
        }
        None => false,
    }
}

#[test]
fn every_dependency_has_a_licence_of_the_list() {
    let allowed = allow_list();
    let workspace = MetadataCommand::new()
        .features(CargoOpt::AllFeatures)
        .other_options(vec!["--locked".to_owned()])
        .exec()
        .expect("cargo metadata reads this workspace");
    assert!(workspace.packages.len() > 100, "only {} packages seen", workspace.packages.len());
    let refused: Vec<_> = workspace
        .packages
        .iter()
        .filter(|package| !package.license.as_deref().is_some_and(|it| satisfied(it, &allowed)))
        .map(|p| {
            format!("  {} {}: {}", p.name, p.version, p.license.as_deref().unwrap_or("no licence named"))
        })
        .collect();
    assert!(
        refused.is_empty(),
        "licences that deny.toml does not allow:\n{}\n\
         `cargo tree --invert NAME` shows who brings a crate in. Replace it, or, where its licence asks for no more \
         than its notice, add the licence to [licenses] allow in deny.toml and say why.",
        refused.join("\n")
    );
}

#[test]
fn the_list_holds_no_copyleft() {
    let copyleft = ["GPL", "MPL", "EPL", "EUPL", "CDDL", "OSL", "SSPL"];
    let found: Vec<_> = allow_list().into_iter().filter(|l| copyleft.iter().any(|c| l.contains(c))).collect();
    assert!(
        found.is_empty(),
        "deny.toml allows {found:?}: Riser links everything statically into one binary, so a copyleft licence would \
         bind whoever builds it into a product"
    );
}

#[test]
fn reads_spdx_expressions() {
    let allowed = BTreeSet::from(["MIT", "ISC", "Apache-2.0 WITH LLVM-exception"].map(str::to_owned));
    for good in
        ["MIT", "MIT/Zlib", "GPL-3.0 OR MIT", "MIT AND ISC", "(MIT OR Zlib) AND ISC", "Zlib OR (MIT AND ISC)"]
    {
        assert!(satisfied(good, &allowed), "{good}");
    }
    assert!(satisfied("Apache-2.0 WITH LLVM-exception", &allowed));
    for bad in
        ["", "Zlib", "MIT AND Zlib", "MIT AND", "MIT Zlib", "(MIT", "Apache-2.0", "MIT WITH LLVM-exception"]
    {
        assert!(!satisfied(bad, &allowed), "{bad}");
    }
}
