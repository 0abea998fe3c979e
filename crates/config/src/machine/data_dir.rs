//! Whether the gateway may write where it keeps its data, and whether the outbox has room there. Nothing is written to
//! find out.

use std::io;
use std::path::Path;

use gateway_core::findings::{KeyPath, Report};
use gateway_core::settings::ByteSize;
use rustix::fs::Access;

use crate::load::Loaded;

/// What must stay free beside a full outbox: without it a disk that the outbox itself has filled stays full, see
/// docs/storage.md.
const SPARE_BYTES: u64 = 4 << 20;

pub(super) fn probe(report: &mut Report, loaded: &Loaded) {
    let data_dir = &loaded.config.gateway.data_dir;
    // What is not there yet is made, in the nearest folder that is.
    let Some(folder) = data_dir.ancestors().find(|folder| folder.exists()) else { return };
    probe_access(report, data_dir, folder);
    if let Some(upstream) = &loaded.config.upstream
        && let Ok(disk) = rustix::fs::statvfs(folder)
    {
        let free = disk.f_bavail.saturating_mul(disk.f_frsize);
        let used = size_of_files(&data_dir.join("outbox"));
        probe_space(report, upstream.outbox.max_size, free.saturating_add(used));
    }
}

fn probe_access(report: &mut Report, data_dir: &Path, folder: &Path) {
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

/// Says so where an outbox of `max_size` finds only `available` bytes.
fn probe_space(report: &mut Report, max_size: ByteSize, available: u64) {
    if max_size.0.saturating_add(SPARE_BYTES) > available {
        report.warning(
            &KeyPath::of("upstream.outbox.max_size"),
            format!(
                "is {max_size}, and the disk has room for {} MiB; if the cloud is away for long, the disk will be \
                 full before the outbox is",
                available >> 20
            ),
        );
    }
}

/// The bytes of the files in `folder` and the folders in it; those that cannot be read count nothing.
fn size_of_files(folder: &Path) -> u64 {
    let files = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let size = |file: std::fs::DirEntry| match file.metadata() {
        Ok(metadata) if metadata.is_dir() => size_of_files(&file.path()),
        Ok(metadata) => metadata.len(),
        Err(_) => 0,
    };
    files.map(size).sum()
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
    fn an_outbox_larger_than_the_disk_is_a_warning() {
        let folder = tempfile::tempdir().unwrap();
        let text = format!(
            "[gateway]\ndata_dir = {:?}\n[upstream]\nurl = \"mqtt://127.0.0.1\"\noutbox.max_size = \"9000000GiB\"\n",
            folder.path()
        );
        let found = findings_of(|report| probe(report, &loaded(&text)));
        assert!(
            found.len() == 1 && found[0].contains("upstream.outbox.max_size: is 9000000GiB, and the disk"),
            "{found:?}"
        );
    }

    #[test]
    fn the_outbox_and_its_spare_bytes_must_fit() {
        let spare = SPARE_BYTES + (256 << 20);
        assert!(findings_of(|report| probe_space(report, ByteSize::mib(256), spare)).is_empty());
        assert_eq!(findings_of(|report| probe_space(report, ByteSize::mib(256), spare - 1)).len(), 1);
    }

    #[test]
    fn what_the_outbox_has_on_disk_already_is_its_own() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(size_of_files(&folder.path().join("outbox")), 0);
        std::fs::write(folder.path().join("1.journal"), [0; 300]).unwrap();
        std::fs::create_dir(folder.path().join("alerts")).unwrap();
        std::fs::write(folder.path().join("alerts/1.journal"), [0; 30]).unwrap();
        assert_eq!(size_of_files(folder.path()), 330);
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
