//! A disk in memory that does all that POSIX allows, and what disks do beside.
//!
//! - What was written and not synced is lost in a power cut, or not, or in part: any subset of the writes, each torn at
//!   any byte or read as zeros.
//! - Names that were not synced with their directory are those of some earlier moment.
//! - Any call may fail. A write may be short before it fails.
//! - A failed sync forgets what it should have written, and the next one says that all is well. What was forgotten is
//!   no longer read either (as xfs does it), or is still read as long as the machine runs (as ext4 does it).

mod disk;
mod random;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use random::Random;

/// What goes wrong next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    None,
    /// After so many calls so many are refused.
    Refuse {
        after: u32,
        times: u32,
        no_space: bool,
    },
    /// The next sync of a file fails; what it forgets can still be read until the power is cut.
    SyncFails,
    /// After so many calls nothing happens any more, as if the process had died there.
    Dead {
        after: u32,
    },
}

/// A handle to the disk; clones share it.
#[derive(Debug, Clone)]
pub(crate) struct SimulatedDisk(Arc<Mutex<State>>);

#[derive(Debug, Clone)]
struct State {
    files: Vec<FileState>,
    directories: BTreeMap<PathBuf, Directory>,
    locked: BTreeSet<PathBuf>,
    fault: Fault,
    /// Bytes that all files may take.
    capacity: usize,
    random: Random,
}

/// Which file each path of a directory leads to.
type Names = BTreeMap<PathBuf, usize>;

#[derive(Debug, Clone, Default)]
struct Directory {
    /// As the system shows them.
    names: Names,
    durable: Names,
    /// The names after each change since the directory was synced.
    unsynced: Vec<Names>,
}

#[derive(Debug, Clone, Default)]
struct FileState {
    /// As the system shows it.
    shown: Vec<u8>,
    durable: Vec<u8>,
    unsynced: Vec<Change>,
}

#[derive(Debug, Clone)]
enum Change {
    Write { at: usize, bytes: Vec<u8> },
    Length(usize),
}

impl SimulatedDisk {
    pub(crate) fn new(seed: u64) -> SimulatedDisk {
        SimulatedDisk(Arc::new(Mutex::new(State {
            files: Vec::new(),
            directories: BTreeMap::new(),
            locked: BTreeSet::new(),
            fault: Fault::None,
            capacity: usize::MAX,
            random: Random(seed),
        })))
    }

    pub(crate) fn set_fault(&self, fault: Fault) {
        self.state().fault = fault;
    }

    /// Whether there were enough calls to come to the fault.
    #[allow(dead_code, reason = "not every test file needs it")]
    pub(crate) fn has_reached_fault(&self) -> bool {
        !matches!(self.state().fault, Fault::Refuse { after: 1.., .. } | Fault::Dead { after: 1.. })
    }

    /// Leaves room for so many bytes more.
    pub(crate) fn set_free(&self, bytes: usize) {
        let mut state = self.state();
        state.capacity = state.used().saturating_add(bytes);
    }

    /// Bytes of all files.
    #[allow(dead_code, reason = "not every test file needs it")]
    pub(crate) fn used(&self) -> usize {
        self.state().used()
    }

    /// From now on everything works.
    pub(crate) fn heal(&self) {
        self.set_fault(Fault::None);
        self.state().capacity = usize::MAX;
    }

    /// The same disk after a power cut now; this one goes on.
    pub(crate) fn after_power_cut(&self, seed: u64) -> SimulatedDisk {
        let mut state = self.state().clone();
        state.random = Random(seed);
        state.cut_power();
        SimulatedDisk(Arc::new(Mutex::new(state)))
    }

    /// The same disk after the death of the process now; this one goes on.
    pub(crate) fn after_kill(&self) -> SimulatedDisk {
        let mut state = self.state().clone();
        state.locked.clear();
        SimulatedDisk(Arc::new(Mutex::new(state)))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }
}

impl State {
    /// Whether this call is let through.
    fn call(&mut self) -> io::Result<()> {
        match &mut self.fault {
            Fault::None | Fault::SyncFails => Ok(()),
            Fault::Dead { after: 0 } => Err(io::Error::other("this process is dead")),
            Fault::Refuse { after, .. } | Fault::Dead { after } if *after > 0 => {
                *after -= 1;
                Ok(())
            }
            Fault::Refuse { times, no_space, .. } => {
                let error = if *no_space { io::ErrorKind::StorageFull.into() } else { io_error() };
                *times = times.saturating_sub(1);
                if *times == 0 {
                    self.fault = Fault::None;
                }
                Err(error)
            }
            Fault::Dead { .. } => Ok(()),
        }
    }

    fn used(&self) -> usize {
        let files = self.directories.values().flat_map(|directory| directory.names.values());
        files.map(|file| self.files[*file].shown.len()).sum()
    }

    fn file(&self, path: &Path) -> Option<usize> {
        self.directories.get(path.parent()?)?.names.get(path).copied()
    }

    fn change_names(&mut self, path: &Path, change: impl FnOnce(&mut Names)) {
        let directory = self.directories.entry(path.parent().unwrap().to_path_buf()).or_default();
        change(&mut directory.names);
        directory.unsynced.push(directory.names.clone());
    }

    fn append(&mut self, file: usize, bytes: &[u8]) -> io::Result<usize> {
        let refusing = matches!(self.fault, Fault::Refuse { after: 0, .. });
        if refusing && bytes.len() > 1 && self.random.chance(2) {
            let some = 1 + self.random.below(bytes.len() - 1);
            return Ok(self.write(file, &bytes[..some]));
        }
        self.call()?;
        let free = self.capacity.saturating_sub(self.used());
        match bytes.len().min(free) {
            0 if !bytes.is_empty() => Err(io::ErrorKind::StorageFull.into()),
            some => Ok(self.write(file, &bytes[..some])),
        }
    }

    fn write(&mut self, file: usize, bytes: &[u8]) -> usize {
        let file = &mut self.files[file];
        let change = Change::Write { at: file.shown.len(), bytes: bytes.to_vec() };
        change.apply(&mut file.shown);
        file.unsynced.push(change);
        bytes.len()
    }

    fn set_len(&mut self, file: usize, length: usize) {
        let file = &mut self.files[file];
        file.shown.resize(length, 0);
        file.unsynced.push(Change::Length(length));
    }

    fn sync(&mut self, file: usize) -> io::Result<()> {
        if matches!(self.fault, Fault::Dead { after: 0 }) {
            return self.call();
        }
        let still_shown = self.fault == Fault::SyncFails;
        if still_shown {
            self.fault = Fault::None;
        }
        let result = if still_shown { Err(io_error()) } else { self.call() };
        let file = &mut self.files[file];
        if result.is_ok() {
            // What an earlier failure forgot is not written now either.
            file.unsynced.drain(..).for_each(|change| change.apply(&mut file.durable));
        } else {
            file.forget_unsynced(&mut self.random);
            if !still_shown {
                let length = file.shown.len();
                file.shown.clone_from(&file.durable);
                file.shown.resize(length, 0);
            }
            // The length is not forgotten.
            file.unsynced.push(Change::Length(file.shown.len()));
        }
        result
    }

    fn cut_power(&mut self) {
        for directory in self.directories.values_mut() {
            let synced = self.random.below(directory.unsynced.len() + 1);
            if let Some(index) = synced.checked_sub(1) {
                directory.durable.clone_from(&directory.unsynced[index]);
            }
            directory.unsynced.clear();
            directory.names.clone_from(&directory.durable);
        }
        for file in &mut self.files {
            file.forget_unsynced(&mut self.random);
            file.shown.clone_from(&file.durable);
        }
        self.locked.clear();
    }
}

impl FileState {
    /// Some of the changes reached the disk before, whole or in part.
    fn forget_unsynced(&mut self, random: &mut Random) {
        // Often all or nothing, else anything.
        let fate = random.below(4);
        for change in self.unsynced.drain(..) {
            match (fate, change) {
                (0, _) => {}
                (1, change) => change.apply(&mut self.durable),
                (_, change) => {
                    if let Some(change) = change.in_part(random) {
                        change.apply(&mut self.durable);
                    }
                }
            }
        }
    }
}

impl Change {
    fn apply(&self, file: &mut Vec<u8>) {
        match self {
            Change::Length(length) => file.resize(*length, 0),
            Change::Write { at, bytes } => {
                file.resize(file.len().max(at + bytes.len()), 0);
                file[*at..at + bytes.len()].copy_from_slice(bytes);
            }
        }
    }

    fn in_part(self, random: &mut Random) -> Option<Change> {
        let fate = random.below(4);
        match (fate, self) {
            (0, _) => None,
            (1, Change::Write { at, mut bytes }) => {
                bytes.truncate(random.below(bytes.len() + 1));
                Some(Change::Write { at, bytes })
            }
            (2, Change::Write { at, mut bytes }) => {
                let torn = random.below(bytes.len() + 1);
                bytes[torn..].fill(0);
                Some(Change::Write { at, bytes })
            }
            (_, whole) => Some(whole),
        }
    }
}

fn io_error() -> io::Error {
    io::Error::other("the simulated disk failed")
}
