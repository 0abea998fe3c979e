//! The time of a reading, with and without the time of day, over restarts.

use node_core::wire::Quantity;

use crate::flash::Flash;
use crate::world::{Mode, STEADY, World, reading};

fn clock() -> std::rc::Rc<World> {
    World::new(|second| vec![reading(Quantity::Count, second as i64)])
}

#[test]
fn with_the_time_of_day_a_reading_keeps_its_time_over_restarts() {
    let (world, flash) = (clock(), Flash::new(16));
    world.has_time.set(true);
    world.live_with(700, &flash, &STEADY);
    // The mode changes within the life that knows the time.
    let link = world.clone();
    *world.sense.borrow_mut() = Box::new(move |second| {
        if second > 3_000 {
            link.mode.set(Mode::Down);
        }
        vec![reading(Quantity::Count, second as i64)]
    });
    world.live_with(8_000, &flash, &STEADY);
    *world.sense.borrow_mut() = Box::new(|second| vec![reading(Quantity::Count, second as i64)]);
    world.now_ms.set(50_000_000);
    world.mode.set(Mode::Up);
    world.live_with(51_000, &flash, &STEADY);
    let received = &world.received()["count"];
    assert_eq!(received.len(), world.measured_at.borrow().len());
    for (at, raw) in received {
        assert!(at.abs_diff(raw.unwrap() as u64) <= 6, "{at} {raw:?}");
    }
}

#[test]
fn without_it_a_reading_of_an_earlier_life_is_as_old_as_the_present_one() {
    let (world, flash) = (clock(), Flash::new(16));
    world.mode.set(Mode::Down);
    world.live_with(2_000, &flash, &STEADY);
    let restarted_at = world.now();
    let link = world.clone();
    *world.sense.borrow_mut() = Box::new(move |second| {
        link.mode.set(if second < restarted_at + 3_000 { Mode::Down } else { Mode::Up });
        vec![reading(Quantity::Count, second as i64)]
    });
    world.live_with(restarted_at + 8_000, &flash, &STEADY);
    for (at, raw) in &world.received()["count"] {
        let measured_at = raw.unwrap() as u64;
        let expected = measured_at.max(restarted_at);
        assert!(at.abs_diff(expected) <= 6, "measured at {measured_at}, told as {at}");
    }
}
