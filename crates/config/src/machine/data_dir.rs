//! Whether the gateway may write where it keeps its data. Nothing is written to find out.

use std::io;
use std::path::Path;

use rustix::fs::Access;

use crate::load::Loaded;
use gateway_core::findings::{KeyPath, Report};

pub(super) fn probe(report: &mut Report, loaded: &Loaded) {
    let data_dir = &loaded.config.gateway.data_dir;
    // What is not there yet is made, in the nearest folder that is.
    let Some(folder) = data_dir.ancestors().find(|folder| folder.exists()) else { return };
    // The dot: a file is no folder, whatever its mode.
    if let Err(error) = rustix::fs::access(folder.join("."), Access::WRITE_OK | Access::EXEC_OK) {
        report.warning(&KeyPath::of("gateway.data_dir"), cannot_write(folder, data_dir, &error.into()));
    }
}

fn cannot_write(folder: &Path, data_dir: &Path, error: &io::Error) -> String {
    let folder = folder.display();
    if error.kind() == io::ErrorKind::ReadOnlyFilesystem {
        // Far more often the unit's sandbox than a disk.
        return format!(
            "{folder} is read-only here; let the service write there with `systemctl edit riser`: [Service], \
             ReadWritePaths={}",
            data_dir.display()
        );
    }
    format!("this user may not write to {folder}: {error}")
}

#[cfg(test)]
mod tests {
    use super::super::tests::{findings_of, loaded};
    use super::*;

    fn warned(data_dir: &Path) -> Vec<String> {
        let loaded = loaded(&format!("[gateway]\ndata_dir = {data_dir:?}\n"));
        findings_of(|report| probe(report, &loaded))
    }

    #[test]
    fn a_folder_that_is_or_can_be_made_is_well() {
        let folder = tempfile::tempdir().unwrap();
        assert!(warned(folder.path()).is_empty());
        assert!(warned(&folder.path().join("data/riser")).is_empty());
        assert!(!folder.path().join("data").exists());
    }

    #[test]
    fn a_place_that_cannot_be_written_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        std::fs::write(&file, "").unwrap();
        let found = warned(&file.join("data"));
        let wanted =
            format!("gateway.data_dir: this user may not write to {}: Not a directory", file.display());
        assert!(found.len() == 1 && found[0].contains(&wanted), "{found:?}");
    }

    #[test]
    fn a_sandbox_is_told_how_to_open() {
        let found =
            cannot_write(Path::new("/mnt"), Path::new("/mnt/ssd"), &io::ErrorKind::ReadOnlyFilesystem.into());
        assert_eq!(
            found,
            "/mnt is read-only here; let the service write there with `systemctl edit riser`: [Service], \
             ReadWritePaths=/mnt/ssd"
        );
    }
}
