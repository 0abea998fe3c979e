//! What a power cut may leave of a sequence of changes.
//!
//! A change to a file's contents is durable once a later sync of that file succeeded; creating, removing and renaming,
//! once a later sync of the directory did. Of all others any subset is there, in any sectors, one of them torn at any byte.
//! A sync that fails leaves the changes before it undecided for ever: the kernel takes their pages for clean, and no
//! later sync writes them.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// What a disk writes whole.
const SECTOR: usize = 512;

/// One call that changed something.
#[derive(Debug, Clone)]
pub(crate) enum Change {
    Create { file: u64, name: String },
    Write { file: u64, at: usize, data: Vec<u8> },
    Truncate { file: u64, size: usize },
    Synced { file: u64 },
    SyncFailed { file: u64 },
    SyncedDirectory,
    Remove { name: String },
    Rename { from: String, to: String },
}

impl Change {
    /// The file whose contents it is about.
    pub(crate) fn file(&self) -> Option<u64> {
        match self {
            Change::Create { file, .. }
            | Change::Write { file, .. }
            | Change::Truncate { file, .. }
            | Change::Synced { file }
            | Change::SyncFailed { file } => Some(*file),
            Change::SyncedDirectory | Change::Remove { .. } | Change::Rename { .. } => None,
        }
    }

    /// In a line, for a message.
    pub(crate) fn brief(&self) -> String {
        match self {
            Change::Write { file, at, data } => format!("write {} bytes to {file} at {at}", data.len()),
            other => format!("{other:?}"),
        }
    }

    pub(crate) fn new(kind: u8, file: u64, at: usize, data: &[u8]) -> Change {
        let name = |path: &[u8]| {
            Path::new(std::str::from_utf8(path).unwrap()).file_name().unwrap().to_str().unwrap().to_owned()
        };
        match kind {
            b'C' => Change::Create { file, name: name(data) },
            b'W' => Change::Write { file, at, data: data.to_vec() },
            b'T' => Change::Truncate { file, size: at },
            b'S' => Change::Synced { file },
            b'F' => Change::SyncFailed { file },
            b'D' => Change::SyncedDirectory,
            b'U' => Change::Remove { name: name(data) },
            b'R' => {
                let (from, to) = data.split_at(data.iter().position(|byte| *byte == 0).unwrap());
                Change::Rename { from: name(from), to: name(&to[1..]) }
            }
            other => panic!("the shim and the test disagree about {other}"),
        }
    }
}

/// What becomes of changes that are not durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Loss {
    /// All of them are gone.
    All,
    /// None is: what a killed process leaves.
    Nothing,
    /// None but the last write, which is torn.
    Torn,
    /// Each is there or not, sector by sector.
    Some,
}

/// Contents that are durable, and the changes after them.
#[derive(Debug, Clone, Default)]
struct Contents {
    base: Vec<u8>,
    later: Vec<Later>,
}

#[derive(Debug, Clone)]
struct Later {
    change: Change,
    fate: Fate,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Volatile,
    Durable,
    Undecided,
}

/// The files of one directory.
#[derive(Debug, Clone, Default)]
pub(crate) struct Disk {
    contents: Vec<Contents>,
    /// The kernel's number of a file, which is used again after a removal, and ours.
    files: BTreeMap<u64, usize>,
    names: BTreeMap<String, usize>,
    later: Vec<Naming>,
}

#[derive(Debug, Clone)]
enum Naming {
    Create(String, usize),
    Remove(String),
    Rename(String, String),
}

impl Disk {
    /// A directory as it is, all of it durable.
    pub(crate) fn of(dir: &Path) -> Disk {
        let mut disk = Disk::default();
        for entry in fs::read_dir(dir).unwrap() {
            let entry = entry.unwrap();
            let id = disk.contents.len();
            disk.contents.push(Contents { base: fs::read(entry.path()).unwrap(), later: Vec::new() });
            disk.files.insert(entry.metadata().unwrap().ino(), id);
            disk.names.insert(entry.file_name().into_string().unwrap(), id);
        }
        disk
    }

    /// The same files under the numbers that they have in `dir`.
    pub(crate) fn moved_to(&mut self, dir: &Path) {
        let mut names = self.names.clone();
        self.later.iter().for_each(|naming| naming.clone().apply(&mut names));
        let number = |name: &String| fs::metadata(dir.join(name)).unwrap().ino();
        self.files = names.iter().map(|(name, id)| (number(name), *id)).collect();
    }

    pub(crate) fn apply(&mut self, change: &Change) {
        match change {
            Change::Create { file, name } => {
                let id = self.contents.len();
                self.contents.push(Contents::default());
                self.files.insert(*file, id);
                self.later.push(Naming::Create(name.clone(), id));
            }
            Change::Write { file, .. } | Change::Truncate { file, .. } => {
                self.contents(*file).later.push(Later { change: change.clone(), fate: Fate::Volatile });
            }
            Change::Synced { file } => self.contents(*file).sync(Fate::Durable),
            Change::SyncFailed { file } => self.contents(*file).sync(Fate::Undecided),
            Change::SyncedDirectory => {
                for naming in std::mem::take(&mut self.later) {
                    naming.apply(&mut self.names);
                }
            }
            Change::Remove { name } => self.later.push(Naming::Remove(name.clone())),
            Change::Rename { from, to } => self.later.push(Naming::Rename(from.clone(), to.clone())),
        }
    }

    fn contents(&mut self, file: u64) -> &mut Contents {
        let id = self.files[&file];
        &mut self.contents[id]
    }

    /// Writes what is left after a power cut now into `dir`.
    pub(crate) fn cut(&self, loss: Loss, chance: &mut Chance, dir: &Path) {
        let mut names = self.names.clone();
        // A journaled directory loses its last changes, not earlier ones.
        let kept = match loss {
            Loss::All => 0,
            Loss::Nothing | Loss::Torn => self.later.len(),
            Loss::Some => chance.below(self.later.len() + 1),
        };
        self.later.iter().take(kept).for_each(|naming| naming.clone().apply(&mut names));
        for (name, id) in names {
            fs::write(dir.join(name), self.contents[id].cut(loss, chance)).unwrap();
        }
    }
}

impl Naming {
    fn apply(self, names: &mut BTreeMap<String, usize>) {
        match self {
            Naming::Create(name, id) => {
                names.insert(name, id);
            }
            Naming::Remove(name) => {
                names.remove(&name);
            }
            Naming::Rename(from, to) => {
                if let Some(id) = names.remove(&from) {
                    names.insert(to, id);
                }
            }
        }
    }
}

impl Contents {
    fn sync(&mut self, fate: Fate) {
        self.later
            .iter_mut()
            .filter(|later| later.fate == Fate::Volatile)
            .for_each(|later| later.fate = fate);
        // What lies above something undecided has to be applied after it.
        let durable = self.later.iter().take_while(|later| later.fate == Fate::Durable).count();
        for later in self.later.drain(..durable) {
            later.change.write_to(&mut self.base, |_| true);
        }
    }

    fn cut(&self, loss: Loss, chance: &mut Chance) -> Vec<u8> {
        let mut bytes = self.base.clone();
        let last = self.later.iter().rposition(|later| matches!(later.change, Change::Write { .. }));
        for (n, Later { change, fate }) in self.later.iter().enumerate() {
            let tears = match loss {
                Loss::All | Loss::Nothing => false,
                Loss::Torn => true,
                Loss::Some => chance.below(2) == 0,
            };
            let torn = last == Some(n) && tears;
            match (fate, loss) {
                (Fate::Durable, _) => change.write_to(&mut bytes, |_| true),
                (_, Loss::Nothing) => change.write_to(&mut bytes, |_| true),
                (_, Loss::All) => {}
                (_, _) if torn => change.torn(chance).write_to(&mut bytes, |_| true),
                (_, Loss::Torn) => change.write_to(&mut bytes, |_| true),
                (_, Loss::Some) => {
                    // Often all or nothing of a change, else each sector by itself.
                    let odds = [0, 0, 1, 2, 2][chance.below(5)];
                    let mut kept = [false; 64];
                    kept.iter_mut().for_each(|kept| *kept = odds == 2 || (odds == 1 && chance.below(2) == 0));
                    change.write_to(&mut bytes, |n| kept[n % kept.len()]);
                }
            }
        }
        bytes
    }
}

impl Change {
    /// Does the sectors of a write for which `keeps` holds; a truncation is the first sector.
    fn write_to(&self, bytes: &mut Vec<u8>, keeps: impl Fn(usize) -> bool) {
        match self {
            Change::Write { at, data, .. } => {
                let mut from = 0;
                while from < data.len() {
                    let place = at + from;
                    let to = data.len().min(from + SECTOR - place % SECTOR);
                    if keeps(place / SECTOR) {
                        let end = at + to;
                        bytes.resize(bytes.len().max(end), 0);
                        bytes[place..end].copy_from_slice(&data[from..to]);
                    }
                    from = to;
                }
            }
            Change::Truncate { size, .. } if keeps(0) => bytes.resize(*size, 0),
            _ => {}
        }
    }

    /// A write's first bytes.
    fn torn(&self, chance: &mut Chance) -> Change {
        match self {
            Change::Write { file, at, data } => {
                let data = data[..chance.below(data.len() + 1)].to_vec();
                Change::Write { file: *file, at: *at, data }
            }
            other => other.clone(),
        }
    }
}

/// Repeatable chance (SplitMix64).
#[derive(Debug, Clone)]
pub(crate) struct Chance(pub(crate) u64);

impl Chance {
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) % u64::try_from(limit).unwrap()).unwrap()
    }
}
