//! Renames a damaged file, so that a new one can begin and people can inspect the old one: `history.db.damaged-<n>`, the newest
//! only; `n` counts how often it has happened.

use std::path::{Path, PathBuf};
use std::{fs, io};

use gateway_core::durable::{
    directory_of, remove_if_exists, rename_if_exists, sync_directory_of, with_suffix,
};

/// Moves the file and its write-ahead log aside, and removes the one that was kept before. Returns where it is.
pub(crate) fn set_aside(path: &Path) -> io::Result<PathBuf> {
    let before = kept(path)?;
    let number = before.iter().map(|(number, _)| number).max().map_or(1, |newest| newest.saturating_add(1));
    let aside = with_suffix(path, &format!(".damaged-{number}"));
    // The log first: a new file must never find one that is not its own.
    rename_if_exists(&with_suffix(path, "-wal"), &with_suffix(&aside, "-wal"))?;
    remove_if_exists(&with_suffix(path, "-shm"))?;
    rename_if_exists(path, &aside)?;
    for (_, old) in before {
        remove_if_exists(&old)?;
    }
    sync_directory_of(path)?;
    Ok(aside)
}

/// What is kept already, the logs too, with their numbers.
fn kept(path: &Path) -> io::Result<Vec<(u32, PathBuf)>> {
    let Some(name) = path.file_name().and_then(|name| name.to_str()) else { return Ok(Vec::new()) };
    let prefix = format!("{name}.damaged-");
    let mut found = Vec::new();
    for entry in fs::read_dir(directory_of(path))? {
        let entry = entry?;
        let file = entry.file_name();
        let number = file.to_str().and_then(|file| file.strip_prefix(&prefix));
        if let Some(number) = number.and_then(|rest| rest.trim_end_matches("-wal").parse().ok()) {
            found.push((number, entry.path()));
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_is_kept_with_its_log_and_the_numbers_go_on() {
        let folder = tempfile::TempDir::new().unwrap();
        let path = folder.path().join("history.db");
        let names = || {
            let mut names: Vec<_> = fs::read_dir(folder.path())
                .unwrap()
                .map(|entry| entry.unwrap().file_name().into_string().unwrap())
                .collect();
            names.sort();
            names
        };
        for (log, expected) in [
            (true, vec!["history.db.damaged-1", "history.db.damaged-1-wal"]),
            (false, vec!["history.db.damaged-2"]),
            (true, vec!["history.db.damaged-3", "history.db.damaged-3-wal"]),
        ] {
            fs::write(&path, "rubbish").unwrap();
            if log {
                fs::write(with_suffix(&path, "-wal"), "log").unwrap();
                fs::write(with_suffix(&path, "-shm"), "index").unwrap();
            }
            assert_eq!(set_aside(&path).unwrap(), folder.path().join(expected[0]));
            assert_eq!(names(), expected);
        }
    }
}
