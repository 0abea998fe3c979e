//! Power cuts and disk errors between and within any two calls to the file system, against the real SQLite.
//!
//! What holds, whatever happens: the outbox opens again once the disk works; it then is exactly as of some commit at or
//! after the last that returned `Ok`, and what it says on opening is durable; a call that fails has changed nothing and
//! succeeds when the disk does. `sim/` is how it is done. Linux with glibc only; `cc` compiles the shim.

#![cfg(all(target_os = "linux", target_env = "gnu", target_pointer_width = "64"))]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test may panic"
)]

mod sim;

use outbox::Priority;
use proptest::prelude::*;
use sim::disk::{Chance, Loss};
use sim::model::Wish;
use sim::world::{End, World};
use sim::{
    EIO, ENOSPC, EROFS, Fault, OPEN, READ, REMOVE, STAT, SYNC, SYNC_DIRECTORY, TRUNCATE, WRITE, simulated,
};

/// Room for some entries of a few hundred bytes.
const SMALL: u64 = 8_000;
/// More than SQLite's log holds before it is taken over.
const LARGE: u64 = 6_000_000;
const LOSSES: [Loss; 6] = [Loss::All, Loss::Nothing, Loss::Torn, Loss::Some, Loss::Some, Loss::Some];

fn append(count: usize, length: usize) -> Wish {
    let priority = |n| if n % 4 == 3 { Priority::Urgent } else { Priority::Normal };
    Wish::Append((0..count).map(|n| (priority(n), length)).collect())
}

/// A short life: made, filled, emptied, overflowing, closed and opened.
fn short_life() -> Vec<Vec<Wish>> {
    vec![
        vec![append(3, 200)],
        vec![append(5, 900), Wish::Acknowledge { first: 0, count: 2 }],
        vec![Wish::Discard { first: 1 }, append(4, 1500)],
        vec![append(1, 5000)],
    ]
}

fn live(world: &mut World) {
    world.open(None);
    short_life().iter().for_each(|wishes| {
        world.commit(wishes, None, true);
    });
    world.open(None);
    world.commit(&[append(2, 300)], None, true);
    world.close(None);
}

#[test]
fn a_power_cut_between_any_two_calls_leaves_a_commit_that_is_no_older_than_the_last_durable() {
    simulated(
        "a_power_cut_between_any_two_calls_leaves_a_commit_that_is_no_older_than_the_last_durable",
        |sim| {
            let mut world = World::new(sim, SMALL);
            live(&mut world);
            assert!(world.moments() > 60, "the shim saw {} changes", world.moments());
            for moment in 0..world.moments() {
                for (seed, loss) in (0..).zip(LOSSES) {
                    world.check_cut(moment, loss, seed);
                }
            }
        },
    );
}

const ANY: i32 = OPEN | READ | WRITE | TRUNCATE | SYNC | SYNC_DIRECTORY | REMOVE | STAT;

/// Does the n-th step of a short life; how many calls failed.
fn step(world: &mut World, n: usize, fault: Option<Fault>) -> Option<i32> {
    let life = short_life();
    match n {
        0 => Some(world.open(fault)),
        n if n <= life.len() => Some(world.commit(&life[n - 1], fault, true)),
        n if n == life.len() + 1 => Some(world.open(fault)),
        n if n == life.len() + 2 => Some(world.commit(&[append(2, 300)], fault, true)),
        _ => None,
    }
}

/// Lets each call of each step fail, one a life.
fn each_call_fails(sim: sim::Sim, fault: Fault) {
    let mut world = World::new(sim, SMALL);
    let mut failures = 0;
    for bad in 0.. {
        let mut after = 1;
        loop {
            world = world.reset();
            world.label = format!("call {after} of step {bad} fails");
            let mut failed = None;
            for n in 0.. {
                let now = (n == bad).then_some(Fault { after, ..fault });
                let Some(result) = step(&mut world, n, now) else { break };
                if n == bad {
                    failed = Some(result);
                }
            }
            let Some(failed) = failed else {
                assert!(failures > 50, "the shim let {failures} calls fail");
                return;
            };
            world.close(None);
            let mut chance = Chance(u64::from(after.unsigned_abs()));
            let promises = world.promises();
            world.check_cut(promises[chance.below(promises.len())], Loss::All, 0);
            for _ in 0..2 {
                world.check_cut(chance.below(world.moments()), Loss::Some, 0);
            }
            if failed == 0 {
                break;
            }
            failures += failed;
            after += 1;
        }
    }
}

#[test]
fn an_error_at_any_call_changes_nothing() {
    simulated("an_error_at_any_call_changes_nothing", |sim| {
        let kinds = ANY;
        each_call_fails(sim, Fault { after: 1, kinds, error: EIO, lasting: false, partly: false });
    });
}

#[test]
fn a_broken_disk_from_any_call_on_changes_nothing() {
    simulated("a_broken_disk_from_any_call_on_changes_nothing", |sim| {
        let kinds = ANY;
        each_call_fails(sim, Fault { after: 1, kinds, error: EIO, lasting: true, partly: false });
    });
}

#[test]
fn a_full_disk_at_any_write_changes_nothing() {
    simulated("a_full_disk_at_any_write_changes_nothing", |sim| {
        let kinds = WRITE | SYNC | TRUNCATE;
        each_call_fails(sim, Fault { after: 1, kinds, error: ENOSPC, lasting: true, partly: true });
    });
}

/// Looks at every power cut within one more commit, which is shorter than the one before it that came to nothing.
fn check_cuts_of_a_shorter_commit(world: &mut World) {
    let before = world.moments();
    world.commit(&[append(1, 10)], None, true);
    for moment in before..world.moments() {
        for seed in 0..3 {
            world.check_cut(moment, Loss::Torn, seed);
            world.check_cut(moment, Loss::Some, seed);
        }
    }
}

#[test]
fn a_commit_torn_over_one_that_could_not_be_synced_costs_nothing() {
    simulated("a_commit_torn_over_one_that_could_not_be_synced_costs_nothing", |sim| {
        let mut world = World::new(sim, LARGE);
        for length in (0..12_000).step_by(900) {
            world = world.reset();
            world.label = format!("the lost entries have {length} bytes");
            world.open(None);
            world.commit(&[append(3, 200)], None, true);
            let fault = Fault { after: 1, kinds: SYNC, error: EIO, lasting: false, partly: false };
            assert!(world.commit(&[append(3, length)], Some(fault), false) > 0, "no sync failed");
            check_cuts_of_a_shorter_commit(&mut world);
        }
    });
}

#[test]
fn a_commit_torn_over_one_that_a_power_cut_left_with_holes_costs_nothing() {
    simulated("a_commit_torn_over_one_that_a_power_cut_left_with_holes_costs_nothing", |sim| {
        let mut world = World::new(sim, LARGE);
        for seed in 0..16 {
            world = world.reset();
            world.label = format!("the first power cut has seed {seed}");
            world.open(None);
            world.commit(&[append(3, 200)], None, true);
            world.commit(&[append(3, 5_000)], None, true);
            // Just before the last sync.
            let unsynced = world.moments() - 2;
            world.end(unsynced, End::Power(Loss::Some), seed);
            check_cuts_of_a_shorter_commit(&mut world);
        }
    });
}

/// A commit or an end of the process, with an error on the way or not.
#[derive(Debug, Clone)]
enum Step {
    Commit { wishes: Vec<Wish>, fault: Option<Fault>, again: bool },
    Reopen { fault: Option<Fault> },
    Close { fault: Option<Fault> },
    End { moment: usize, end: End, seed: u64 },
}

fn wishes() -> impl Strategy<Value = Vec<Wish>> {
    let priority = prop_oneof![1 => Just(Priority::Urgent), 3 => Just(Priority::Normal)];
    let length = prop_oneof![4 => 0..1_000_usize, 1 => 0..9_000_usize];
    let wish = prop_oneof![
        4 => prop::collection::vec((priority, length), 0..5).prop_map(Wish::Append),
        2 => (0..4_usize, 0..6_usize).prop_map(|(first, count)| Wish::Acknowledge { first, count }),
        1 => (0..4_usize).prop_map(|first| Wish::Discard { first }),
    ];
    prop::collection::vec(wish, 1..4)
}

fn fault(kinds: i32) -> impl Strategy<Value = Option<Fault>> {
    let single = (0..8).prop_map(|bit| 1 << bit);
    let picked = prop_oneof![3 => single, 1 => Just(!0)].prop_map(move |bits| bits & kinds);
    let error = prop_oneof![Just(EIO), Just(ENOSPC), Just(EROFS)];
    let fault = (1..30, picked, error, any::<bool>(), any::<bool>())
        .prop_map(|(after, kinds, error, lasting, partly)| Fault { after, kinds, error, lasting, partly });
    prop::option::of(fault)
}

fn end() -> impl Strategy<Value = End> {
    let loss = prop_oneof![1 => Just(Loss::All), 1 => Just(Loss::Torn), 3 => Just(Loss::Some)];
    prop_oneof![3 => loss.prop_map(End::Power), 1 => Just(End::Kill)]
}

fn steps(kinds: i32) -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => (wishes(), fault(kinds), any::<bool>())
            .prop_map(|(wishes, fault, again)| Step::Commit { wishes, fault, again }),
        1 => fault(kinds).prop_map(|fault| Step::Reopen { fault }),
        1 => fault(kinds).prop_map(|fault| Step::Close { fault }),
        2 => (0..1000_usize, end(), any::<u64>()).prop_map(|(moment, end, seed)| Step::End { moment, end, seed }),
    ];
    prop::collection::vec(step, 1..20)
}

/// Late moments are likelier: what was durable early is asked for by every later one too.
fn moment(world: &World, thousandths: usize) -> usize {
    let last = world.moments() - 1;
    last - last * thousandths * thousandths / 1_000_000
}

fn follow(world: &mut World, steps: Vec<Step>) {
    world.open(None);
    for step in steps {
        match step {
            Step::Commit { wishes, fault, again } => {
                if !world.is_open() {
                    world.open(None);
                }
                world.commit(&wishes, fault, again);
            }
            Step::Reopen { fault } => {
                world.open(fault);
            }
            Step::Close { fault } => world.close(fault),
            Step::End { moment: at, end, seed } => {
                world.close(None);
                world.end(moment(world, at), end, seed);
            }
        }
    }
    world.close(None);
    let mut chance = Chance(7);
    for loss in LOSSES {
        world.check_cut(moment(world, chance.below(1000)), loss, 0);
    }
}

/// `PROPTEST_CASES` raises it.
fn any_life(name: &str, kinds: i32, max_bytes: u64, cases: u32) {
    simulated(name, |sim| {
        let world = std::cell::RefCell::new(Some(World::new(sim, max_bytes)));
        let config = ProptestConfig { failure_persistence: None, ..ProptestConfig::default() };
        let cases = if std::env::var_os("PROPTEST_CASES").is_some() { config.cases } else { cases };
        proptest!(ProptestConfig { cases, ..config }, |(steps in steps(kinds))| {
            let mut fresh = world.borrow_mut().take().unwrap().reset();
            let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| follow(&mut fresh, steps)));
            *world.borrow_mut() = Some(fresh);
            if let Err(cause) = result {
                std::panic::resume_unwind(cause);
            }
        });
    });
}

#[test]
fn any_life_with_power_cuts_kills_and_errors_is_as_the_model_says() {
    any_life("any_life_with_power_cuts_kills_and_errors_is_as_the_model_says", ANY, SMALL, 150);
}

#[test]
fn what_an_outbox_says_on_opening_after_a_kill_is_durable() {
    simulated("what_an_outbox_says_on_opening_after_a_kill_is_durable", |sim| {
        let mut world = World::new(sim, SMALL);
        for killed in 0.. {
            world = world.reset();
            live(&mut world);
            if killed == world.moments() {
                return;
            }
            world.label = format!("killed at {killed}");
            world.end(killed, End::Kill, 0);
            let opened = world.moments() - 1;
            world.check_cut(opened, Loss::All, 0);
            world.check_cut(opened, Loss::Some, killed as u64);
        }
    });
}

/// Fills the write-ahead log until SQLite takes it over into the database and begins it anew, twice.
fn long_life(world: &mut World, fault_of: impl Fn(usize) -> Option<Fault>) -> i32 {
    let mut failed = 0;
    world.open(None);
    for n in 0..24 {
        let wishes = [append(4, 100_000), Wish::Acknowledge { first: 0, count: 2 }];
        failed += world.commit(&wishes, fault_of(n), true);
    }
    failed
}

#[test]
fn a_power_cut_while_the_log_is_taken_over_leaves_a_durable_commit() {
    simulated("a_power_cut_while_the_log_is_taken_over_leaves_a_durable_commit", |sim| {
        let mut world = World::new(sim, LARGE);
        long_life(&mut world, |_| None);
        let moments = world.take_overs();
        assert!(moments.len() > 10, "{} changes to the database", moments.len());
        let mut chance = Chance(3);
        for _ in 0..30 {
            let moment = moments[chance.below(moments.len())];
            let loss = LOSSES[chance.below(LOSSES.len())];
            world.check_cut(moment, loss, moment as u64);
        }
    });
}

#[test]
fn errors_while_the_log_is_taken_over_change_nothing() {
    simulated("errors_while_the_log_is_taken_over_change_nothing", |sim| {
        let mut world = World::new(sim, LARGE);
        for (kinds, first) in [(SYNC, 2), (SYNC, 3), (WRITE, 215), (WRITE, 300), (READ | TRUNCATE | STAT, 3)]
        {
            world = world.reset();
            world.label = format!("call {first} of kind {kinds} fails in each commit");
            let fault = Fault { after: first, kinds, error: EIO, lasting: false, partly: false };
            assert!(long_life(&mut world, |_| Some(fault)) > 0, "{}", world.label);
            let moments = world.take_overs();
            let mut chance = Chance(u64::from(kinds.unsigned_abs()));
            for loss in [Loss::All, Loss::Some, Loss::Some, Loss::Nothing] {
                world.check_cut(moments[chance.below(moments.len())], loss, 0);
            }
        }
    });
}
