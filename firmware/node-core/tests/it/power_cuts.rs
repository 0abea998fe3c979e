//! A node that loses power at any instant loses at most what it had not stored, and nothing becomes two readings.

use node_core::wire::Quantity;
use proptest::prelude::*;

use crate::flash::{Flash, PAGE};
use crate::world::{Mode, STEADY, World, reading};

/// The value is the number of the measurement, so that each reading can be told from all others.
fn counting() -> std::rc::Rc<World> {
    let world = World::new(|_| Vec::new());
    let count = std::cell::Cell::new(0);
    *world.sense.borrow_mut() = Box::new(move |_| {
        count.set(count.get() + 1);
        vec![reading(Quantity::Count, count.get())]
    });
    world
}

/// The lives of a node: after so many bytes to the flash each ends by a power cut; in each the link behaves in its own way.
fn lives(cuts: &[(usize, Mode)]) {
    let (world, flash) = (counting(), Flash::new(24));
    let mut torn = 0;
    for (bytes, mode) in cuts {
        world.mode.set(*mode);
        flash.cut_after(Some(*bytes));
        world.live_with(world.now() + 7_000, &flash, &STEADY);
        // What was measured and not stored when the power went: at most one report, for each is stored at once.
        torn += usize::from(flash.is_cut());
        flash.cut_after(None);
    }
    world.mode.set(Mode::Up);
    let (_, lost) =
        world.live_with(world.now() + 7_000, &flash, &STEADY).expect("the flash can be opened after any cut");
    let received: Vec<_> = world.received()["count"].iter().map(|(_, raw)| raw.unwrap()).collect();
    assert!(received.is_sorted_by(|one, next| one < next), "in order, none twice: {received:?}");
    let measured = world.measured_at.borrow().len();
    assert!(
        received.len() + torn + lost as usize >= measured,
        "{} of {measured}, {torn} torn, {lost} lost",
        received.len()
    );
    // The ring holds more than these lives write.
    assert_eq!(lost, 0);
}

#[test]
fn a_cut_after_any_byte_of_the_first_reports_loses_at_most_the_one_that_is_written() {
    let (world, flash) = (counting(), Flash::new(8));
    world.live_with(2_000, &flash, &STEADY);
    let bytes = flash.operations();
    assert!(bytes > 100);
    for cut in 1..bytes {
        for mode in [Mode::Up, Mode::Down, Mode::NoAck] {
            lives(&[(cut, mode)]);
        }
    }
}

/// As on a board that ran something else before. Values cannot be kept then, but readings arrive.
#[test]
fn flash_full_of_anything_is_no_obstacle() {
    for seed in 0..50_u32 {
        let mut state = seed.wrapping_mul(0x9e37_79b9) | 1;
        let bytes = (0..8 * PAGE).map(|_| {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            if seed == 0 { 0 } else { state as u8 }
        });
        let (world, flash) = (counting(), Flash::with(bytes.collect()));
        let lived = world.live_with(3_000, &flash, &STEADY);
        assert!(lived.is_some(), "seed {seed}");
        assert!(
            world.received().get("count").map(Vec::len) >= Some(4),
            "seed {seed}: {lived:?}, {:?}",
            world.received()
        );
    }
}

#[test]
fn a_node_whose_flash_is_broken_still_sends() {
    let (world, flash) = (counting(), Flash::new(8));
    let store = pollster::block_on(node_core::FlashStore::open(flash.clone(), flash.range()));
    let mut store = store.unwrap();
    flash.cut_after(Some(0));
    let (exit, _) = world.live(3_000, &mut store, &STEADY);
    assert_eq!(exit, None);
    assert!(world.received()["count"].len() >= 4);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_lives_end_well(cuts in prop::collection::vec((0..1_500_usize, prop::sample::select(&[Mode::Up, Mode::Down, Mode::NoAck][..])), 1..8)) {
        lives(&cuts);
    }
}
