//! The index of `docs/decisions/` has exactly one row for each page.

use std::collections::BTreeSet;
use std::path::Path;

#[test]
fn the_index_of_decisions_lists_every_page_once() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/decisions");
    let pages: BTreeSet<String> = std::fs::read_dir(&folder)
        .expect("docs/decisions is there")
        .map(|entry| entry.expect("a folder's entry").file_name().into_string().expect("a name in UTF-8"))
        .filter(|name| name != "README.md")
        .collect();
    let index = std::fs::read_to_string(folder.join("README.md")).expect("the index is there");
    let rows: Vec<String> = index
        .lines()
        .filter_map(|line| Some(line.strip_prefix("| [")?.split_once(']')?.0.to_owned()))
        .collect();
    let listed: BTreeSet<String> = rows.iter().cloned().collect();
    assert_eq!(listed.len(), rows.len(), "a page has two rows in docs/decisions/README.md");
    assert_eq!(
        pages, listed,
        "left: the pages; right: the rows of docs/decisions/README.md; add the missing one"
    );
}
