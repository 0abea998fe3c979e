//! What the Debian package ships beside the binary is what the binary says: manual pages, completions, the version.

use std::path::{Path, PathBuf};

use clap::CommandFactory as _;
use clap_complete::Shell;

use super::Cli;

const SHELLS: [(Shell, &str); 3] =
    [(Shell::Bash, "riser.bash"), (Shell::Zsh, "_riser"), (Shell::Fish, "riser.fish")];

/// With UPDATE=1 in the environment, writes the file instead.
fn is_committed(file: &Path, generated: &[u8]) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../packaging").join(file);
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, generated).unwrap();
    }
    let committed = std::fs::read(&path).unwrap_or_default();
    let name = path.display();
    assert!(
        committed == generated,
        "{name} is not what the command line says; run: UPDATE=1 cargo test -p riser manual"
    );
}

#[test]
fn the_manual_pages_are_what_the_command_line_says() {
    let folder = tempfile::tempdir().unwrap();
    clap_mangen::generate_to(Cli::command(), folder.path()).unwrap();
    let mut pages: Vec<PathBuf> =
        std::fs::read_dir(folder.path()).unwrap().map(|page| page.unwrap().path()).collect();
    pages.sort();
    assert!(pages.len() > 10, "{pages:?}");
    for page in &pages {
        is_committed(&Path::new("man").join(page.file_name().unwrap()), &std::fs::read(page).unwrap());
    }
    let committed = std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../packaging/man"));
    assert_eq!(committed.unwrap().count(), pages.len(), "a page of a command that is gone");
}

#[test]
fn the_shell_completions_are_what_the_command_line_says() {
    for (shell, file) in SHELLS {
        let mut script = Vec::new();
        clap_complete::generate(shell, &mut Cli::command(), "riser", &mut script);
        is_committed(&Path::new("completions").join(file), &script);
    }
}

#[test]
fn the_package_has_the_binarys_version() {
    let changelog = include_str!("../../../../packaging/debian/changelog");
    let first = changelog.lines().next().unwrap();
    assert!(first.starts_with(concat!("riser (", env!("CARGO_PKG_VERSION"), ")")), "{first}");
}
