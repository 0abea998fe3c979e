//! An outbox on the simulated disk, what it may hold after a power cut at each moment, and the checks.

use std::path::Path;
use std::time::Duration;

use outbox::{Count, Damage, Options, Outbox, OutboxError, Priority, Recovery, WhenFull};
use tempfile::TempDir;

use super::disk::{Chance, Change, Disk, Loss};
use super::model::{Model, View, Wish};
use super::{Fault, Sim};

const FILE: &str = "outbox.sqlite";
/// Changes that a message shows.
const SHOWN: usize = 60;

/// What is allowed from a moment on.
struct Allowed {
    from: usize,
    /// First what was last said to be durable, then the attempts that were begun since.
    models: Vec<Model>,
}

/// How a process ends, and what is left for the next one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// What is not durable is lost in this way.
    Power(Loss),
    /// SIGKILL: everything is there, but what was not durable is not durable yet.
    Kill,
}

pub(crate) struct World {
    sim: Sim,
    max_bytes: u64,
    dir: TempDir,
    /// The disk before `changes`.
    disk: Disk,
    changes: Vec<Change>,
    allowed: Vec<Allowed>,
    outbox: Option<Outbox>,
    /// A number for each commit, which stands in its bodies.
    tag: u64,
    /// What is being tried, for messages.
    pub(crate) label: String,
}

impl World {
    pub(crate) fn new(sim: Sim, max_bytes: u64) -> World {
        let dir = sim.directory();
        let models = vec![Model::empty(max_bytes)];
        World {
            sim,
            max_bytes,
            dir,
            disk: Disk::default(),
            changes: Vec::new(),
            allowed: vec![Allowed { from: 0, models }],
            outbox: None,
            tag: 0,
            label: String::new(),
        }
    }

    /// Begins anew.
    pub(crate) fn reset(self) -> World {
        let World { mut sim, max_bytes, outbox, dir, .. } = self;
        drop(outbox);
        drop(dir);
        sim.heal();
        sim.forget();
        World::new(sim, max_bytes)
    }

    fn options(&self) -> Options {
        Options { max_bytes: self.max_bytes, when_full: WhenFull::DropOldest, spill_after: Duration::ZERO }
    }

    fn now(&self) -> &[Model] {
        &self.allowed.last().unwrap().models
    }

    fn allow(&mut self, models: Vec<Model>) {
        self.changes.extend(self.sim.changes());
        self.allowed.push(Allowed { from: self.changes.len(), models });
    }

    /// The state that `view` is one of.
    fn matching(view: &View, models: &[Model], what: &str) -> Model {
        let found = models.iter().rev().find(|model| model.view() == *view);
        let expected: Vec<String> = models.iter().map(|model| model.view().brief()).collect();
        found
            .unwrap_or_else(|| panic!("{what}: found {}, expected one of {expected:#?}", view.brief()))
            .clone()
    }

    /// Opens the outbox; where the fault prevents it, once more on a healthy disk. What it then says is durable.
    /// How many calls failed.
    pub(crate) fn open(&mut self, fault: Option<Fault>) -> i32 {
        fault.into_iter().for_each(|fault| self.sim.arm(fault));
        drop(self.outbox.take());
        let path = self.dir.path().join(FILE);
        let mut opened = Outbox::open(&path, self.options());
        let failed = self.sim.heal();
        if let Err(error) = &opened {
            assert!(failed > 0, "opening failed on a healthy disk: {error:?}");
            opened = Outbox::open(&path, self.options());
        }
        let mut outbox = whole(opened, &format!("{}: opened", self.label));
        let mut found =
            World::matching(&View::of(&mut outbox), self.now(), &format!("{}: opened", self.label));
        found.fetched();
        self.allow(vec![found]);
        self.outbox = Some(outbox);
        failed
    }

    /// One transaction; where the fault prevents it nothing has changed, and `again` it works. How many calls failed.
    pub(crate) fn commit(&mut self, wishes: &[Wish], fault: Option<Fault>, again: bool) -> i32 {
        self.tag += 1;
        let (result, failed) = self.attempt(wishes, fault);
        let Err(error) = result else { return failed };
        assert!(failed > 0, "{}: a commit failed on a healthy disk: {error:?}", self.label);
        let view = View::of(self.outbox.as_mut().unwrap());
        World::matching(&view, &self.now()[..1], &format!("{}: after a failed commit", self.label));
        self.allowed.last_mut().unwrap().models.iter_mut().for_each(Model::fetched);
        if again {
            let (result, _) = self.attempt(wishes, None);
            assert!(result.is_ok(), "{}: the disk works again, but: {result:?}", self.label);
        }
        failed
    }

    fn attempt(&mut self, wishes: &[Wish], fault: Option<Fault>) -> (Result<(), OutboxError>, i32) {
        let (changes, after) = self.now()[0].plan(wishes, self.tag);
        let either = self.now().iter().cloned().chain([after.clone()]).collect();
        self.allow(either);
        fault.into_iter().for_each(|fault| self.sim.arm(fault));
        let result = self.outbox.as_mut().unwrap().apply(&changes);
        let failed = self.sim.heal();
        if result.is_ok() {
            self.allow(vec![after]);
        }
        (result, failed)
    }

    /// Closes the outbox, as far as the fault lets it.
    pub(crate) fn close(&mut self, fault: Option<Fault>) {
        fault.into_iter().for_each(|fault| self.sim.arm(fault));
        drop(self.outbox.take());
        self.sim.heal();
        self.changes.extend(self.sim.changes());
    }

    pub(crate) fn is_open(&self) -> bool {
        self.outbox.is_some()
    }

    /// How many changes the disk saw since the last end of a process.
    pub(crate) fn moments(&self) -> usize {
        self.changes.len() + 1
    }

    /// The moments at which something was said to be durable: nothing later helps it.
    pub(crate) fn promises(&self) -> Vec<usize> {
        self.allowed.iter().filter(|allowed| allowed.models.len() == 1).map(|allowed| allowed.from).collect()
    }

    /// The moments from the first change to the database itself on, of each time the log is taken over, and the next few.
    pub(crate) fn take_overs(&self) -> Vec<usize> {
        let database = self.changes.iter().find_map(|change| match change {
            Change::Create { file, name } if name == FILE => Some(*file),
            _ => None,
        });
        let of_database = |change: &Change| change.file() == database;
        let moments = 0..self.moments();
        moments.filter(|at| self.changes[at.saturating_sub(8)..*at].iter().any(of_database)).collect()
    }

    fn disk_at(&self, moment: usize) -> Disk {
        let mut disk = self.disk.clone();
        self.changes[..moment].iter().for_each(|change| disk.apply(change));
        disk
    }

    fn allowed_at(&self, moment: usize) -> &[Model] {
        &self.allowed.iter().rev().find(|allowed| allowed.from <= moment).unwrap().models
    }

    /// Looks at what a power cut at `moment` would leave, and uses it once more.
    pub(crate) fn check_cut(&mut self, moment: usize, loss: Loss, seed: u64) {
        let dir = self.sim.directory();
        self.disk_at(moment).cut(loss, &mut Chance(seed), dir.path());
        let path = dir.path().join(FILE);
        let (label, moments) = (&self.label, self.moments());
        let what = format!("{label}: power cut at {moment} of {moments}, loss {loss:?}, seed {seed}");
        let last: Vec<String> =
            self.changes[..moment].iter().rev().take(SHOWN).rev().map(Change::brief).collect();
        let what = format!("{what}, after {last:#?}");
        let mut outbox = open(&path, self.options(), &what);
        let mut found = World::matching(&View::of(&mut outbox), self.allowed_at(moment), &what);
        found.fetched();
        let (changes, after) = found.plan(&[Wish::Append(vec![(Priority::Normal, 10)])], u64::MAX);
        outbox.apply(&changes).unwrap();
        drop(outbox);
        let inspected = Outbox::inspect(&path).unwrap_or_else(|error| panic!("{what}: {error:?}"));
        let view = View::of(&mut open(&path, self.options(), &what));
        assert_eq!(&inspected.totals, view.totals(), "{what}");
        World::matching(&view, &[after], &what);
        // Not of this disk's story.
        self.sim.changes();
    }

    /// The process ends at `moment`; another one goes on with what it left.
    pub(crate) fn end(&mut self, moment: usize, end: End, seed: u64) {
        self.close(None);
        let mut disk = self.disk_at(moment);
        let mut models = self.allowed_at(moment).to_vec();
        let dir = self.sim.directory();
        let loss = if let End::Power(loss) = end { loss } else { Loss::Nothing };
        disk.cut(loss, &mut Chance(seed), dir.path());
        match end {
            End::Power(_) => disk = Disk::of(dir.path()),
            End::Kill => disk.moved_to(dir.path()),
        }
        self.dir = dir;
        self.disk = disk;
        self.sim.changes();
        self.sim.forget();
        self.changes.clear();
        models.iter_mut().for_each(Model::reopened);
        self.allowed = vec![Allowed { from: 0, models }];
        self.open(None);
    }
}

fn open(path: &Path, options: Options, what: &str) -> Outbox {
    whole(Outbox::open(path, options), what)
}

/// No power cut and no error of the disk costs anything. A log that a failed sync left with a hole, and commits behind
/// it, may look like a damaged one: then the file is made anew, with all that is in it.
fn whole(opened: Result<(Outbox, Recovery), OutboxError>, what: &str) -> Outbox {
    let (outbox, recovery) = opened.unwrap_or_else(|error| panic!("{what}: {error:?}"));
    let costs_nothing = |damage: &Damage| damage.lost == Some(Count::default());
    assert!(recovery.damage.as_ref().is_none_or(costs_nothing), "{what}: {recovery:?}");
    outbox
}
