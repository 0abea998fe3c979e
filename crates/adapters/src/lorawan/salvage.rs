//! Opening the sessions' file at the start, also where it is damaged: what can be read goes into a new file, the damaged
//! one is kept beside it, and devices of which nothing could be read go on so that nothing is used twice
//! ([`DeviceState::after_loss`]).

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use gateway_core::Timestamp;
use gateway_core::durable::{remove_if_exists, rename_if_exists, sync_directory_of, with_suffix};
use lorawan_link::{DeviceState, Region};

use super::adapter::KnownDevice;
use super::store::{Store, StoreError};

/// The sessions' file, and what it has of each device, in their order.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) store: Store,
    pub(super) states: Vec<Option<DeviceState>>,
    pub(super) damage: Option<Damage>,
}

/// What was wrong, and what became of it.
#[derive(Debug)]
pub(super) struct Damage {
    finding: StoreError,
    aside: PathBuf,
    lost: Vec<String>,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { finding, aside, lost } = self;
        write!(
            f,
            "{finding}; begun anew with what could be read, the damaged file is kept as {}",
            aside.display()
        )?;
        if !lost.is_empty() {
            write!(f, "; nothing could be read of {}: who joins has to join again", lost.join(", "))?;
        }
        Ok(())
    }
}

/// Opens the file and reads what it has of each device. Waits for the disk.
pub(super) fn open(
    path: &Path,
    devices: &[KnownDevice],
    region: Region,
    now: Timestamp,
) -> Result<Opened, StoreError> {
    match read(path, devices) {
        Err(finding) if finding.is_damage() => repair(path, devices, region, now, finding),
        Ok((store, states)) => Ok(Opened { store, states, damage: None }),
        Err(error) => Err(error),
    }
}

fn read(path: &Path, devices: &[KnownDevice]) -> Result<(Store, Vec<Option<DeviceState>>), StoreError> {
    let store = Store::open(path)?;
    store.check()?;
    let states = devices.iter().map(|known| store.read(known.config.dev_eui)).collect::<Result<_, _>>()?;
    Ok((store, states))
}

/// The new file is whole and on disk before it takes the place of the damaged one: who is interrupted begins again.
fn repair(
    path: &Path,
    devices: &[KnownDevice],
    region: Region,
    now: Timestamp,
    finding: StoreError,
) -> Result<Opened, StoreError> {
    let damaged = Store::open(path).ok();
    let readable = |known: &KnownDevice| damaged.as_ref()?.read(known.config.dev_eui).ok().flatten();
    let now = jiff::Timestamp::from_millisecond(now.as_millis()).unwrap_or_default();
    let mut lost = Vec::new();
    let mut states = Vec::new();
    for known in devices {
        states.push(readable(known).unwrap_or_else(|| {
            lost.push(known.name.clone());
            DeviceState::after_loss(&known.config, region, now)
        }));
    }
    drop(damaged);
    let (aside, fresh) = (with_suffix(path, ".damaged"), with_suffix(path, ".new"));
    let file = |source| StoreError::File { path: path.to_owned(), source };
    for old in [&fresh, &with_suffix(&fresh, "-wal"), &with_suffix(&fresh, "-shm")] {
        remove_if_exists(old).map_err(file)?;
    }
    let mut store = Store::open(&fresh)?;
    store.write(devices.iter().map(|known| known.config.dev_eui).zip(&states))?;
    // The last connection brings its log into the file.
    drop(store);
    exchange(path, &aside, &fresh).map_err(file)?;
    let store = Store::open(path)?;
    let states = states.into_iter().map(Some).collect();
    Ok(Opened { store, states, damage: Some(Damage { finding, aside, lost }) })
}

/// Keeps the damaged file and puts the new one in its place. A log that stayed would be taken for the new file's.
fn exchange(path: &Path, aside: &Path, fresh: &Path) -> io::Result<()> {
    remove_if_exists(aside)?;
    fs::hard_link(path, aside)?;
    rename_if_exists(&with_suffix(path, "-wal"), &with_suffix(aside, "-wal"))?;
    remove_if_exists(&with_suffix(path, "-shm"))?;
    fs::rename(fresh, path)?;
    sync_directory_of(path)
}

#[cfg(test)]
#[path = "salvage_tests.rs"]
mod tests;
