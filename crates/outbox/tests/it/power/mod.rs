//! Random lives on a disk that fails, loses and lies. After every step: what would a power cut leave now, and what the
//! death of the process?
//!
//! What holds, whatever happens: the outbox opens again once the disk works; it then is exactly as of some commit at or
//! after the last that returned `Ok`, without damage, and what it says on opening is durable; a call that fails loses
//! nothing, and what it was given is stored once the disk works.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test may panic"
)]

mod model;
#[path = "../../../../journal/tests/it/simulated_disk/mod.rs"]
mod simulated_disk;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::common::{SINKS, sinks};
use journal::Disk;
use model::{Model, View, Wish};
use outbox::{Lane, Options, Outbox, OutboxError, Recovery, WhenFull};
use proptest::prelude::*;
use simulated_disk::{Fault, SimulatedDisk};

const DIR: &str = "/outbox";
/// Segments are of 4 KiB then, and a life of some dozen steps fills it.
const MAX_BYTES: u64 = 40_000;

#[derive(Debug, Clone)]
enum Step {
    Commit(Vec<Wish>),
    Flush,
    Fetch,
    Fault(Fault),
    LeaveFree(usize),
    Heal,
    End { after: End, fault: Fault, again_after: End },
}

/// How a process ends.
#[derive(Debug, Clone, Copy)]
enum End {
    Kill,
    PowerCut { seed: u64 },
}

fn open_on(disk: &SimulatedDisk) -> Result<(Outbox, Recovery), OutboxError> {
    let options = Options {
        max_bytes: MAX_BYTES,
        when_full: WhenFull::DropOldest,
        producer_repeats: false,
        spill_after: Duration::ZERO,
    };
    Outbox::open_on(Arc::new(disk.clone()), Path::new(DIR), options, &sinks())
}

/// No power cut and no error of the disk costs anything.
fn open_whole(disk: &SimulatedDisk) -> Outbox {
    let (outbox, recovery) = open_on(disk).expect("the disk works");
    assert_eq!(recovery, Recovery::default());
    outbox
}

fn end_of(disk: &SimulatedDisk, end: End) -> SimulatedDisk {
    let disk = match end {
        End::Kill => disk.after_kill(),
        End::PowerCut { seed } => disk.after_power_cut(seed),
    };
    disk.heal();
    disk
}

/// The model that an outbox is like, of those that are allowed.
fn matching(outbox: &mut Outbox, allowed: &[Model]) -> Model {
    let view = View::of(outbox);
    let found = allowed.iter().rev().find_map(|model| model.matches(&view));
    let expected: Vec<String> = allowed.iter().map(Model::brief).collect();
    found.unwrap_or_else(|| panic!("expected one of {expected:#?}\nfound {view:#?}"))
}

struct World {
    disk: SimulatedDisk,
    /// `None` only while it is opened again.
    outbox: Option<Outbox>,
    /// What is durable, and after it what was asked for since.
    allowed: Vec<Model>,
    /// A number for each step, which stands in its bodies.
    tag: u64,
    /// Whether the last step that heals the disk itself, a fetch or a restart, came to its fault.
    reached: bool,
}

impl World {
    fn new(seed: u64) -> World {
        let disk = SimulatedDisk::new(seed);
        let outbox = Some(open_whole(&disk));
        World { disk, outbox, allowed: vec![Model::empty()], tag: 0, reached: false }
    }

    fn outbox(&mut self) -> &mut Outbox {
        self.outbox.as_mut().unwrap()
    }

    fn newest(&self) -> &Model {
        self.allowed.last().unwrap()
    }

    /// The newest model is durable.
    fn settle(&mut self) {
        self.allowed.drain(..self.allowed.len() - 1);
    }

    fn take(&mut self, step: Step) {
        self.tag += 1;
        match step {
            Step::Commit(wishes) => {
                let (requests, after) = self.newest().plan(&wishes, self.tag);
                self.allowed.push(after);
                if self.outbox().apply(&requests).is_ok() {
                    self.settle();
                }
            }
            Step::Flush => {
                if self.outbox().flush().is_ok() {
                    self.settle();
                }
            }
            Step::Fetch => {
                // While something waits, what was asked for is neither here nor there.
                let is_settled = self.allowed.len() == 1 && self.outbox().apply(&[]).is_ok();
                self.reached = self.disk.has_reached_fault();
                if is_settled {
                    self.disk.heal();
                    let mut model = matching(self.outbox.as_mut().unwrap(), &self.allowed);
                    model.fetched();
                    self.allowed = vec![model];
                }
            }
            Step::Fault(fault) => self.disk.set_fault(fault),
            Step::LeaveFree(bytes) => self.disk.set_free(bytes),
            Step::Heal => self.disk.heal(),
            Step::End { after, fault, again_after } => self.restart(after, fault, again_after),
        }
    }

    fn restart(&mut self, after: End, fault: Fault, again_after: End) {
        self.outbox = None;
        self.disk = end_of(&self.disk, after);
        self.disk.set_fault(fault);
        let opened = open_on(&self.disk);
        self.reached = self.disk.has_reached_fault();
        let opened = opened.unwrap_or_else(|error| {
            assert_ne!(fault, Fault::None, "{error:?}");
            self.disk = end_of(&self.disk, again_after);
            open_on(&self.disk).expect("the disk works again")
        });
        self.disk.heal();
        let (mut outbox, recovery) = opened;
        assert_eq!(recovery, Recovery::default());
        self.allowed.iter_mut().for_each(Model::reopened);
        let mut found = matching(&mut outbox, &self.allowed);
        found.fetched();
        self.allowed = vec![found];
        self.outbox = Some(outbox);
    }

    /// What would be there after an end of the process now, and whether that lasts and can be used.
    fn check(&self) {
        for end in [End::Kill, End::PowerCut { seed: self.tag }, End::PowerCut { seed: !self.tag }] {
            let disk = end_of(&self.disk, end);
            let mut outbox = open_whole(&disk);
            let mut found = matching(&mut outbox, &self.allowed);
            let later = end_of(&disk, End::PowerCut { seed: self.tag ^ 7 });
            matching(&mut open_whole(&later), std::slice::from_ref(&found));
            found.fetched();
            let (requests, mut after) = found.plan(&[Wish::Append(vec![(Lane::Aggregates, 10)])], u64::MAX);
            outbox.apply(&requests).unwrap();
            let totals = outbox.totals(SINKS[0]).unwrap().clone();
            drop(outbox);
            let later = end_of(&disk, End::PowerCut { seed: self.tag ^ 9 });
            let inspected =
                Outbox::inspect_on(&(Arc::new(later.clone()) as Arc<dyn Disk>), Path::new(DIR)).unwrap();
            assert_eq!(inspected.sinks[0].totals, totals);
            after.reopened();
            matching(&mut open_whole(&later), &[after]);
        }
    }

    /// The disk works again: nothing that was asked for is missing.
    fn recovers(&mut self) {
        self.disk.heal();
        self.outbox().apply(&[]).unwrap();
        self.settle();
        matching(self.outbox.as_mut().unwrap(), &self.allowed);
    }
}

fn wishes() -> impl Strategy<Value = Vec<Wish>> {
    let lane =
        || prop_oneof![1 => Just(Lane::Alerts), 3 => Just(Lane::Aggregates), 2 => Just(Lane::Readings)];
    let sink = || 0..SINKS.len();
    let length = prop_oneof![4 => 0..1_000_usize, 1 => 0..9_000_usize];
    let wish = prop_oneof![
        4 => prop::collection::vec((lane(), length), 0..5).prop_map(Wish::Append),
        3 => (sink(), lane(), 0..4_usize, 0..12_usize)
            .prop_map(|(sink, lane, first, count)| Wish::Acknowledge { sink, lane, first, count }),
        1 => (sink(), lane(), 0..4_usize).prop_map(|(sink, lane, first)| Wish::Discard { sink, lane, first }),
    ];
    prop::collection::vec(wish, 1..4)
}

fn end() -> impl Strategy<Value = End> {
    prop_oneof![1 => Just(End::Kill), 3 => any::<u64>().prop_map(|seed| End::PowerCut { seed })]
}

fn fault() -> impl Strategy<Value = Fault> {
    let refuse = (0..14u32, 1..8u32, any::<bool>());
    prop_oneof![
        3 => refuse.prop_map(|(after, times, no_space)| Fault::Refuse { after, times, no_space }),
        1 => Just(Fault::SyncFails),
        1 => (0..14u32).prop_map(|after| Fault::Dead { after }),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let ending = (end(), prop_oneof![Just(Fault::None), fault()], end());
    prop_oneof![
        10 => wishes().prop_map(Step::Commit),
        1 => Just(Step::Flush),
        3 => Just(Step::Fetch),
        3 => fault().prop_map(Step::Fault),
        1 => (0..12_000_usize).prop_map(Step::LeaveFree),
        2 => Just(Step::Heal),
        2 => ending.prop_map(|(after, fault, again_after)| Step::End { after, fault, again_after }),
    ]
}

/// `PROPTEST_CASES` raises it.
fn cases(usual: u32) -> ProptestConfig {
    let default = ProptestConfig { failure_persistence: None, ..ProptestConfig::default() };
    let asked = std::env::var_os("PROPTEST_CASES").is_some();
    ProptestConfig { cases: if asked { default.cases } else { usual }, ..default }
}

proptest! {
    #![proptest_config(cases(200))]

    #[test]
    fn any_life_with_power_cuts_kills_and_errors_is_as_the_model_says(
        seed in any::<u64>(),
        steps in prop::collection::vec(step(), 1..50),
    ) {
        let mut world = World::new(seed);
        for step in steps {
            world.take(step);
            world.check();
        }
        world.recovers();
        world.check();
    }
}

fn append(count: usize, length: usize) -> Wish {
    let lane = |n| match n % 4 {
        3 => Lane::Alerts,
        2 => Lane::Readings,
        _ => Lane::Aggregates,
    };
    Wish::Append((0..count).map(|n| (lane(n), length)).collect())
}

fn acknowledge(first: usize, count: usize) -> Vec<Wish> {
    let of_sink =
        |sink| Lane::ALL.into_iter().map(move |lane| Wish::Acknowledge { sink, lane, first, count });
    (0..SINKS.len()).flat_map(of_sink).collect()
}

/// A short life: made, filled, emptied, overflowing, closed and opened.
fn short_life() -> Vec<Step> {
    let end = |after| Step::End { after, fault: Fault::None, again_after: End::Kill };
    vec![
        Step::Commit(vec![append(3, 200)]),
        Step::Commit(vec![append(6, 2500)]),
        Step::Fetch,
        Step::Commit([acknowledge(0, 2), vec![append(5, 900)]].concat()),
        Step::Commit(vec![Wish::Discard { sink: 0, lane: Lane::Aggregates, first: 1 }, append(4, 1500)]),
        Step::Flush,
        Step::Commit(vec![append(1, 5000)]),
        end(End::Kill),
        Step::Commit([acknowledge(0, 1), vec![append(6, 2300)]].concat()),
        Step::Commit(vec![append(7, 2300)]),
        end(End::PowerCut { seed: 3 }),
        Step::Commit([acknowledge(0, 30), vec![append(2, 300)]].concat()),
        Step::Commit(vec![append(3, 3000)]),
    ]
}

/// Lets each call of each step meet a fault, one a life. `then` happens after that step.
fn each_call_meets(fault: impl Fn(u32) -> Fault, then: impl Fn(&mut World, u32)) {
    for bad in 0..short_life().len() {
        for after in 0.. {
            let mut world = World::new(u64::from(after));
            let mut was_reached = false;
            for (n, step) in short_life().into_iter().enumerate() {
                let step = match step {
                    Step::End { after: end, again_after, .. } if n == bad => {
                        Step::End { after: end, fault: fault(after), again_after }
                    }
                    step => step,
                };
                let is_end = matches!(step, Step::End { .. });
                let heals = is_end || matches!(step, Step::Fetch);
                if n == bad && !is_end {
                    world.disk.set_fault(fault(after));
                }
                world.take(step);
                if n >= bad {
                    world.check();
                }
                if n == bad {
                    was_reached = if heals { world.reached } else { world.disk.has_reached_fault() };
                    then(&mut world, after);
                }
            }
            world.recovers();
            if !was_reached {
                break;
            }
        }
    }
}

#[test]
fn an_error_at_any_call_loses_nothing() {
    each_call_meets(|after| Fault::Refuse { after, times: 1, no_space: false }, |world, _| world.disk.heal());
}

#[test]
fn a_broken_disk_from_any_call_on_loses_nothing() {
    each_call_meets(|after| Fault::Refuse { after, times: 1_000, no_space: false }, |_, _| {});
}

#[test]
fn a_full_disk_from_any_call_on_loses_nothing() {
    each_call_meets(
        |after| Fault::Refuse { after, times: 1_000, no_space: true },
        |world, _| world.disk.heal(),
    );
}

#[test]
fn a_process_that_dies_at_any_call_loses_nothing() {
    let restart = |world: &mut World, after: u32| {
        let after =
            if after.is_multiple_of(2) { End::Kill } else { End::PowerCut { seed: u64::from(after) } };
        world.take(Step::End { after, fault: Fault::None, again_after: End::Kill });
    };
    each_call_meets(|after| Fault::Dead { after }, restart);
}

#[test]
fn a_long_life_gives_space_back_and_loses_nothing() {
    let mut world = World::new(1);
    for round in 0..300_usize {
        let seed = round as u64;
        let wishes =
            [vec![append(round % 7, (round * 37) % 900)], acknowledge(round % 3, round % 5)].concat();
        world.take(Step::Commit(wishes));
        if round % 9 == 0 {
            world.take(Step::Fetch);
        }
        if round % 31 == 0 {
            world.take(Step::End {
                after: End::PowerCut { seed },
                fault: Fault::None,
                again_after: End::Kill,
            });
        }
        if round % 5 == 0 {
            world.check();
        }
        let held = world.disk.used();
        assert!(held < 2 * usize::try_from(MAX_BYTES).unwrap(), "{held} bytes in round {round}");
    }
    world.take(Step::Fetch);
    assert!(world.newest().full() > 20, "it was full for long: {}", world.newest().full());
}
