//! What the gateway asks of a node.

use node_core::wire::command::Command;
use node_core::wire::{Channel, Quantity, Tag};
use node_core::{Config, Exit, RamStore};

use crate::flash::Flash;
use crate::world::{World, reading};

const CONFIG: Config<'_> = Config::new("test 1.2.3");
const COUNT: Tag = Tag { quantity: Quantity::Count, channel: Channel::FIRST };

fn clock() -> std::rc::Rc<World> {
    World::new(|second| vec![reading(Quantity::Count, (second / 60) as i64)])
}

#[test]
fn an_interval_and_a_threshold_are_obeyed_and_outlive_a_restart() {
    let (world, flash) = (clock(), Flash::new(8));
    world.command(&[Command::Interval(120), Command::Threshold { tag: COUNT, raw: 1_000 }]);
    world.live_with(1_000, &flash, &CONFIG);
    let gaps = |world: &World| {
        world.measured_at.borrow().windows(2).map(|pair| pair[1] - pair[0]).collect::<Vec<_>>()
    };
    assert_eq!(gaps(&world), [120; 8]);
    assert_eq!(world.received()["count"].len(), 1, "no change of 1000");
    world.live_with(2_000, &flash, &CONFIG);
    assert!(gaps(&world).iter().all(|gap| *gap <= 120), "{:?}", gaps(&world));
    world.command(&[Command::Interval(0)]);
    world.live_with(4_000, &flash, &CONFIG);
    assert_eq!(*gaps(&world).last().unwrap(), 600);
}

#[test]
fn an_interval_beyond_the_limits_is_the_limit() {
    let world = clock();
    world.command(&[Command::Interval(1)]);
    world.live(200, &mut RamStore::<8>::new(), &CONFIG);
    assert_eq!(*world.measured_at.borrow(), [0, 60, 120, 180]);
}

#[test]
fn a_restart_comes_after_the_acknowledgement_and_only_once() {
    let (world, flash) = (clock(), Flash::new(8));
    world.command(&[Command::Reboot]);
    assert_eq!(world.live_with(1_000, &flash, &CONFIG).unwrap().0, Some(Exit::Reboot));
    assert_eq!(world.received()["count"].len(), 1);
    assert_eq!(world.live_with(1_000, &flash, &CONFIG).unwrap().0, None);
}

#[test]
fn bytes_that_are_no_command_do_nothing() {
    let world = clock();
    for bytes in [&[][..], &[4], &[4, 9, 9], &[1, 3], &[4, 2, 0x1f, 0, 0, 0, 1], &[0xff; 60]] {
        world.commands.borrow_mut().push_back(node_core::Command::from_slice(bytes).unwrap());
    }
    assert_eq!(world.live(1_000, &mut RamStore::<8>::new(), &CONFIG).0, None);
    assert!(world.commands.borrow().is_empty());
}
