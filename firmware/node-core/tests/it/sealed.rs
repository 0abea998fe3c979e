//! Sealed frames: never a counter twice under one key, over power cuts, and never a frame that is not sealed.

use std::collections::BTreeSet;
use std::rc::Rc;

use node_core::wire::sealed::{Key, NodeId, header, open};
use node_core::wire::{self, Quantity};
use node_core::{Config, Exit, RamStore, Sealing};

use crate::flash::Flash;
use crate::world::{Mode, World, reading};

fn sealing() -> Sealing {
    Sealing { node: NodeId([1; 8]), key: Key::new([7; 32]) }
}

fn world() -> Rc<World> {
    let world = World::new(|second| {
        vec![
            reading(Quantity::Temperature, 2000),
            reading(Quantity::Humidity, 4500),
            reading(Quantity::Battery, 97),
            reading(Quantity::Count, second as i64),
        ]
    });
    *world.open.borrow_mut() = Box::new(|frame| {
        let mut buffer = [0; 256];
        open(&Key::new([7; 32]), frame, &mut buffer).unwrap().1.to_vec()
    });
    world
}

#[test]
fn no_counter_comes_twice_over_power_cuts_and_failing_links() {
    let (world, flash, sealing) = (world(), Flash::new(8), sealing());
    let config = Config { heartbeat: 600, sealing: Some(&sealing), ..Config::new("test 1.2.3") };
    world.mtu.set(wire::MIN_MTU);
    for life in 0..40_usize {
        world.mode.set([Mode::Up, Mode::NoAck, Mode::Up][life % 3]);
        flash.cut_after(Some(30 + life * 37));
        world.live_with(world.now() + 4_000, &flash, &config);
        flash.cut_after(None);
    }
    world.mode.set(Mode::Up);
    world.live_with(world.now() + 4_000, &flash, &config);
    let frames = world.frames.borrow();
    let counters: BTreeSet<_> = frames.iter().map(|(_, frame)| header(frame).unwrap().counter).collect();
    assert_eq!(counters.len(), frames.len());
    assert!(frames.len() > 50, "{}", frames.len());
    assert!(
        frames
            .windows(2)
            .all(|pair| header(&pair[0].1).unwrap().counter < header(&pair[1].1).unwrap().counter)
    );
}

#[test]
fn records_are_split_to_fit_with_the_seal() {
    let (world, flash, sealing) = (world(), Flash::new(8), sealing());
    let config =
        Config { sealing: Some(&sealing), deadline: 3_600, heartbeat: 600, ..Config::new("test 1.2.3") };
    world.mtu.set(wire::MIN_MTU);
    let (_, lost) = world.live_with(10_000, &flash, &config).unwrap();
    assert_eq!(lost, 0);
    assert!(world.received()["temperature"].len() > 10);
    assert_eq!(world.received()["temperature"].len(), world.received()["count"].len());
}

#[test]
fn without_memory_that_lasts_nothing_is_sent() {
    let (world, sealing) = (world(), sealing());
    let config = Config { sealing: Some(&sealing), ..Config::new("test 1.2.3") };
    let (exit, _) = world.live(1_000, &mut RamStore::<8>::new(), &config);
    assert_eq!(exit, Some(Exit::NoCounters));
    assert!(world.frames.borrow().is_empty());
}
