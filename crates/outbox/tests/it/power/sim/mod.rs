//! A simulated file system under the real SQLite: the test runs itself again with `shim.c` loaded before the C library.
//!
//! Promises: every change below [`Sim::root`] is in the log, in order, as a [`Change`](disk::Change); a [`Fault`] hits
//! exactly the calls it names; [`disk::Disk`] knows what of it a power cut may leave.

pub(crate) mod disk;
pub(crate) mod model;
pub(crate) mod world;

use std::env;
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use disk::Change;
use tempfile::TempDir;

/// Calls that can be made to fail; as in shim.c.
pub(crate) const OPEN: i32 = 1;
pub(crate) const READ: i32 = 2;
pub(crate) const WRITE: i32 = 4;
pub(crate) const TRUNCATE: i32 = 8;
pub(crate) const SYNC: i32 = 16;
pub(crate) const SYNC_DIRECTORY: i32 = 32;
pub(crate) const REMOVE: i32 = 64;
pub(crate) const STAT: i32 = 128;

pub(crate) const EIO: i32 = 5;
pub(crate) const ENOSPC: i32 = 28;
pub(crate) const EROFS: i32 = 30;

const ROOT: &str = "SIM_ROOT";
const LOG: &str = "SIM_LOG";
const CONTROL: &str = "SIM_CONTROL";
const RECORD_BYTES: usize = 32;

/// Which call fails, and how.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fault {
    /// The n-th call from now, from 1, of …
    pub(crate) after: i32,
    /// … these kinds …
    pub(crate) kinds: i32,
    /// … with this errno …
    pub(crate) error: i32,
    /// … and every later one, until the disk is healed.
    pub(crate) lasting: bool,
    /// A write takes half of its bytes first.
    pub(crate) partly: bool,
}

/// Within the child: the shim's two files, and the directory that it watches.
pub(crate) struct Sim {
    root: PathBuf,
    log: File,
    control: File,
}

/// Runs `test` in a child of this program that has the shim, where this is not the child yet. `name` is the test's own.
pub(crate) fn simulated(name: &str, test: impl FnOnce(Sim)) {
    if let Ok(root) = env::var(ROOT) {
        return test(Sim::new(PathBuf::from(root)));
    }
    let dir = TempDir::new().unwrap();
    let (root, log, control) = (dir.path().join("disk"), dir.path().join("log"), dir.path().join("control"));
    fs::create_dir(&root).unwrap();
    fs::write(&log, []).unwrap();
    fs::write(&control, [0; 24]).unwrap();
    let child = Command::new(env::current_exe().unwrap())
        .args(["--exact", &format!("power::{name}"), "--include-ignored", "--nocapture"])
        .env("LD_PRELOAD", shim(dir.path()))
        .envs([(ROOT, &root), (LOG, &log), (CONTROL, &control)])
        .output()
        .unwrap();
    let (out, err) = (String::from_utf8_lossy(&child.stdout), String::from_utf8_lossy(&child.stderr));
    assert!(child.status.success(), "{}\n{out}{err}", child.status);
    assert!(out.contains("1 passed"), "the child ran no test: {out}");
    io::stderr().write_all(&child.stderr).unwrap();
}

/// Compiles the shim; its path.
fn shim(dir: &Path) -> PathBuf {
    let (source, library) = (dir.join("shim.c"), dir.join("shim.so"));
    fs::write(&source, include_str!("shim.c")).unwrap();
    let mut cc = Command::new("cc");
    cc.args(["-O1", "-Wall", "-Werror", "-shared", "-fPIC", "-o"]).arg(&library).arg(&source);
    let output = cc.output().expect("cc, of build-essential");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    library
}

impl Sim {
    fn new(root: PathBuf) -> Sim {
        let log = File::open(env::var(LOG).unwrap()).unwrap();
        let control = File::options().write(true).read(true).open(env::var(CONTROL).unwrap()).unwrap();
        Sim { root, log, control }
    }

    /// An empty directory on the simulated disk.
    pub(crate) fn directory(&self) -> TempDir {
        TempDir::new_in(&self.root).unwrap()
    }

    pub(crate) fn arm(&self, fault: Fault) {
        let words =
            [fault.after, fault.kinds, fault.error, i32::from(fault.lasting), i32::from(fault.partly), 0];
        let bytes: Vec<u8> = words.into_iter().flat_map(i32::to_ne_bytes).collect();
        self.control.write_all_at(&bytes, 0).unwrap();
    }

    /// No call fails from now on; how many did since [`Sim::arm`].
    pub(crate) fn heal(&self) -> i32 {
        let mut words = [0; 24];
        self.control.read_exact_at(&mut words, 0).unwrap();
        self.control.write_all_at(&[0; 24], 0).unwrap();
        i32::from_ne_bytes(words[20..].try_into().unwrap())
    }

    /// The changes since the last call.
    pub(crate) fn changes(&mut self) -> Vec<Change> {
        let mut bytes = Vec::new();
        self.log.read_to_end(&mut bytes).unwrap();
        let mut rest = bytes.as_slice();
        let mut changes = Vec::new();
        while !rest.is_empty() {
            let (head, after) = rest.split_at(RECORD_BYTES);
            let number = |at: usize| u64::from_ne_bytes(head[at..at + 8].try_into().unwrap());
            let (data, after) = after.split_at(usize::try_from(number(24)).unwrap());
            changes.push(Change::new(head[0], number(8), usize::try_from(number(16)).unwrap(), data));
            rest = after;
        }
        changes
    }

    /// Forgets the changes so far, and gives their space back.
    pub(crate) fn forget(&mut self) {
        File::options().write(true).open(env::var(LOG).unwrap()).unwrap().set_len(0).unwrap();
        self.log.seek(SeekFrom::Start(0)).unwrap();
    }
}
