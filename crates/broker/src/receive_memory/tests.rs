//! Whom a full memory takes from.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use proptest::prelude::*;

use super::*;

fn address(last: u8) -> IpAddr {
    IpAddr::from([10, 0, 0, last])
}

fn client(memory: &Arc<ReceiveMemory>, user: &str) -> Arc<ReceiveShare> {
    let share = memory.share(address(1));
    share.log_in(Some(user.into()));
    share
}

fn is_cut(share: &ReceiveShare) -> bool {
    share.poll(&Context::from_waker(Waker::noop())) == Holding::Cut
}

fn oldest(share: &ReceiveShare) -> Option<u64> {
    match share.poll(&Context::from_waker(Waker::noop())) {
        Holding::Pieces { oldest } => Some(oldest),
        _ => None,
    }
}

#[test]
fn who_has_most_gives_way_and_may_not_take_it_back() {
    let memory = ReceiveMemory::new(0, 1_000);
    let greedy = [client(&memory, "greedy"), client(&memory, "greedy")];
    assert!(greedy.iter().all(|one| one.reserve(Part::Packet, 500)));
    let other = client(&memory, "other");
    assert!(other.reserve(Part::Packet, 500));
    assert_eq!(greedy.iter().filter(|one| is_cut(one)).count(), 1);
    let again = client(&memory, "greedy");
    assert!(!again.reserve(Part::Packet, 500), "its user would have most");
    assert!(!is_cut(&other));
}

#[test]
fn of_one_user_a_small_packet_displaces_a_large_one_and_not_the_other_way_round() {
    let memory = ReceiveMemory::new(0, 1_000);
    let (large, small) = (client(&memory, "one"), client(&memory, "one"));
    assert!(large.reserve(Part::Packet, 1_000));
    assert!(small.reserve(Part::Packet, 10) && is_cut(&large));
    assert!(!client(&memory, "one").reserve(Part::Packet, 1_000) && !is_cut(&small));
}

#[test]
fn a_connection_that_was_cut_gets_nothing_more_and_one_that_is_dropped_gives_all_back() {
    let memory = ReceiveMemory::new(0, 1_000);
    let share = client(&memory, "one");
    assert!(share.reserve(Part::Message, 900));
    share.cut();
    assert!(!share.reserve(Part::Message, 1));
    let other = client(&memory, "two");
    assert!(other.reserve(Part::Packet, 400) && other.reserve(Part::Message, 600));
    drop(other);
    assert!(client(&memory, "three").reserve(Part::Packet, 1_000));
}

#[test]
fn what_is_begun_anew_has_another_number() {
    let memory = ReceiveMemory::new(0, 1_000);
    let share = client(&memory, "one");
    assert_eq!(oldest(&share), None);
    assert!(share.reserve(Part::Packet, 10));
    let first = oldest(&share);
    assert!(share.reserve(Part::Message, 10) && share.reserve(Part::Packet, 20));
    assert_eq!(oldest(&share), first);
    share.release(Part::Packet);
    assert!(share.reserve(Part::Packet, 10));
    assert_ne!(oldest(&share), first);
}

#[test]
fn before_the_login_each_address_has_its_share() {
    let memory = ReceiveMemory::new(100_000, 0);
    let many: Vec<_> = (0..10).map(|_| memory.share(address(1))).collect();
    assert!(many.iter().all(|one| one.reserve(Part::Packet, 10_000)));
    let other = memory.share(address(2));
    assert!(other.reserve(Part::Packet, 40_000));
    assert_eq!(many.iter().filter(|one| is_cut(one)).count(), 4);
    assert!(!memory.share(address(3)).reserve(Part::Packet, 1 << 20), "no CONNECT is as large");
}

proptest! {
    #[test]
    fn the_bounds_hold_and_the_sums_agree(
        steps in prop::collection::vec((0..6_usize, 0..2_usize, 0..1_200_usize, any::<bool>()), 1..100),
    ) {
        let memory = ReceiveMemory::new(500, 1_000);
        let mut shares: Vec<_> = (0..6).map(|one| memory.share(address(one % 2))).collect();
        for (who, part, bytes, is_new) in steps {
            if is_new {
                shares[who] = memory.share(address(1));
                if bytes % 3 > 0 {
                    shares[who].log_in((bytes % 3 == 1).then(|| if who < 3 { "a" } else { "b" }.into()));
                }
            }
            let part = if part == 0 { Part::Packet } else { Part::Message };
            shares[who].reserve(part, bytes);
            let state = memory.lock();
            for (pool, logged_in, most) in [(&state.before_login, false, 500), (&state.after_login, true, 1_000)] {
                let holders = state.connections.iter().filter(|(_, one)| one.logged_in == logged_in);
                let used: usize = holders.map(|(_, one)| one.bytes()).sum();
                prop_assert_eq!(pool.used, used);
                prop_assert_eq!(pool.owners.values().sum::<usize>(), used);
                prop_assert!(used <= most);
            }
        }
    }
}
