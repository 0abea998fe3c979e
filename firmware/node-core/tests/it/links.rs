//! A link that is away, loses acknowledgements, refuses, rests.

use node_core::RamStore;
use node_core::wire::Quantity;

use crate::flash::Flash;
use crate::world::{Mode, STEADY, World, reading};

fn clock() -> std::rc::Rc<World> {
    World::new(|second| vec![reading(Quantity::Count, (second / 600) as i64)])
}

#[test]
fn what_was_measured_while_the_gateway_was_away_arrives_in_order_with_its_time() {
    let world = clock();
    let mut store = RamStore::<64>::new();
    world.mode.set(Mode::Down);
    world.now_ms.set(0);
    // One life: the mode changes while the node sleeps.
    let link = world.clone();
    *world.sense.borrow_mut() = Box::new(move |second| {
        link.mode.set(if (600..20_000).contains(&second) { Mode::Down } else { Mode::Up });
        vec![reading(Quantity::Count, second as i64)]
    });
    let (_, lost) = world.live(30_000, &mut store, &STEADY);
    let received = &world.received()["count"];
    let measured = world.measured_at.borrow();
    assert_eq!(received.len(), measured.len());
    assert_eq!(lost, 0);
    for ((at, raw), measured) in received.iter().zip(&*measured) {
        assert_eq!(raw.unwrap(), *measured as i64);
        assert!(at.abs_diff(*measured) <= 6, "{at} {measured}");
    }
}

#[test]
fn tries_become_rare_while_the_gateway_is_away() {
    let world = clock();
    world.mode.set(Mode::Down);
    world.live(86_400, &mut RamStore::<200>::new(), &STEADY);
    assert!((20..80).contains(&world.tries.get()), "{}", world.tries.get());
    assert_eq!(world.rests.get(), world.tries.get());
}

#[test]
fn a_lost_acknowledgement_makes_no_second_reading() {
    let world = clock();
    let link = world.clone();
    *world.sense.borrow_mut() = Box::new(move |second| {
        let is_up = second > 24_000 || (second / 600).is_multiple_of(3);
        link.mode.set(if is_up { Mode::Up } else { Mode::NoAck });
        vec![reading(Quantity::Count, second as i64)]
    });
    world.live(30_000, &mut RamStore::<64>::new(), &STEADY);
    let measured = world.measured_at.borrow().iter().map(|at| Some(*at as i64)).collect::<Vec<_>>();
    let received: Vec<_> = world.received()["count"].iter().map(|(_, raw)| *raw).collect();
    assert_eq!(received, measured);
    assert!(world.frames.borrow().len() > measured.len());
}

#[test]
fn a_frame_that_is_refused_is_given_up_and_counted() {
    let world = clock();
    world.mode.set(Mode::Refuse);
    let (_, lost) = world.live(1_500, &mut RamStore::<8>::new(), &STEADY);
    assert_eq!(lost, 3, "the readings");
    assert_eq!(world.tries.get(), 4, "and the image");
}

#[test]
fn a_full_memory_gives_up_the_oldest_and_counts_them() {
    let world = clock();
    world.mode.set(Mode::Down);
    let mut store = RamStore::<4>::new();
    let (_, lost) = world.live(6_500, &mut store, &STEADY);
    assert_eq!(lost, 11 - 4);

    let flash = Flash::new(6);
    let world = clock();
    world.mode.set(Mode::Down);
    world.live_with(60_500, &flash, &STEADY).unwrap();
    world.mode.set(Mode::Up);
    let (_, lost) = world.live_with(65_000, &flash, &STEADY).unwrap();
    let received = &world.received()["count"];
    assert_eq!(received.len() + lost as usize, world.measured_at.borrow().len());
    assert_eq!(world.lost(), Some(lost), "and the gateway knows");
    assert!(lost > 20 && received.len() > 10, "{lost} {}", received.len());
    let numbers: Vec<_> = received.iter().map(|(_, raw)| raw.unwrap()).collect();
    assert!(numbers.is_sorted());
    assert_eq!(*numbers.last().unwrap(), (world.measured_at.borrow().last().unwrap() / 600) as i64);
}

#[test]
fn a_link_that_rests_is_given_its_rest() {
    let world = clock();
    world.pause.set(900);
    world.live(20_000, &mut RamStore::<64>::new(), &STEADY);
    let times: Vec<_> = world.frames.borrow().iter().map(|(at, _)| *at).collect();
    assert!(times.windows(2).all(|pair| pair[1] - pair[0] >= 900), "{times:?}");
    assert!(times.len() >= 20, "{times:?}");
}

#[test]
fn a_node_never_sleeps_longer_than_an_hour_and_feeds_its_watchdog() {
    let world = clock();
    world.live(20_000, &mut RamStore::<64>::new(), &STEADY);
    assert!(world.longest_sleep_ms.get() <= 3_600_000);
    assert!(world.now_ms.get() - world.watchdog_fed_at.get() <= 3_600_000);
}
