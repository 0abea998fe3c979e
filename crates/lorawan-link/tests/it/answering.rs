//! Confirmed uplinks and questions: when and how they are answered.

use lorawan_link::Reason;

use crate::support::{HERE, Up, confirmed, host, read, up};

const ACK: u8 = 0x20;

#[test]
fn a_confirmed_uplink_is_answered_in_the_first_window_when_it_is_taken() {
    let mut host = host();
    let end = host.tmst();
    let uplink = host.uplink(&confirmed(0));
    assert!(uplink.confirmed);
    assert!(host.sent().is_empty(), "nothing before the host has it");
    host.pass(500);
    host.taken(uplink.token);
    let sent = host.only_sent();
    assert_eq!(
        (sent.tmst, sent.frequency, sent.data_rate.as_str()),
        (Some(end.wrapping_add(1_000_000)), 868.3, "SF9BW125")
    );
    assert_eq!((sent.power, read(&sent.phy, 0)), (14, (ACK, vec![], vec![])));
    host.taken(uplink.token);
    assert!(host.sent().is_empty(), "once");
}

#[test]
fn a_host_that_is_slow_has_its_answer_sent_in_the_second_window() {
    let mut host = host();
    let end = host.tmst();
    let uplink = host.uplink(&confirmed(0));
    host.pass(1_000);
    host.taken(uplink.token);
    let sent = host.only_sent();
    assert_eq!(
        (sent.tmst, sent.frequency, sent.data_rate.as_str()),
        (Some(end.wrapping_add(2_000_000)), 869.525, "SF12BW125")
    );
    assert_eq!(sent.power, 27);
}

#[test]
fn a_host_that_is_slower_has_the_repetition_answered() {
    let mut host = host();
    let uplink = host.uplink(&confirmed(0));
    host.pass(2_000);
    host.taken(uplink.token);
    assert!(host.sent().is_empty());
    host.pass(1_000);
    host.push(HERE, &confirmed(0), 5.0);
    host.pass(200);
    assert!(host.uplinks().is_empty(), "it counts once");
    assert_eq!(host.refusals(), [Reason::Repeated]);
    assert_eq!(read(&host.only_sent().phy, 0).0, ACK);
}

#[test]
fn a_repetition_that_comes_before_the_host_has_the_frame_is_answered_when_it_has() {
    let mut host = host();
    let uplink = host.uplink(&confirmed(0));
    host.pass(3_000);
    host.push(HERE, &confirmed(0), 5.0);
    host.pass(200);
    assert!(host.sent().is_empty() && host.uplinks().is_empty());
    host.taken(uplink.token);
    assert_eq!(read(&host.only_sent().phy, 0).0, ACK);
}

#[test]
fn an_answer_to_an_older_frame_is_none() {
    let mut host = host();
    let first = host.uplink(&confirmed(0));
    let second = host.uplink(&confirmed(1));
    host.taken(first.token);
    assert!(host.sent().is_empty());
    host.taken(second.token);
    assert_eq!(host.sent().len(), 1);
}

#[test]
fn an_unconfirmed_uplink_without_questions_stays_unanswered() {
    let mut host = host();
    let uplink = host.uplink(&up(0));
    host.taken(uplink.token);
    host.pass(3_000);
    assert!(host.sent().is_empty());
}

#[test]
fn questions_are_answered_at_once() {
    let mut host = host();
    host.push(2, &Up { commands: &[&[0x02], &[0x0d]], ..Up::default() }.phy(), 1.0);
    host.push(HERE, &Up { commands: &[&[0x02], &[0x0d]], ..Up::default() }.phy(), 5.0);
    host.pass(200);
    let sent = host.only_sent();
    let (_, f_opts, payload) = read(&sent.phy, 0);
    // 5 dB are 17.5 above what SF9 needs; two gateways. 2026-11-21T12:00:00Z is 1479297618 s of GPS time.
    let seconds = 1_479_297_618_u32.to_le_bytes();
    assert_eq!((f_opts, payload), ([&[0x02, 17, 2, 0x0d], &seconds[..], &[0]].concat(), vec![]));
}

#[test]
fn a_device_that_wants_a_sign_of_life_gets_one() {
    let mut host = host();
    host.uplink(&Up { f_ctrl: 0xc0, ..Up::default() }.phy());
    assert_eq!(read(&host.only_sent().phy, 0), (0x80, vec![], vec![]));
}

#[test]
fn an_answer_uses_a_new_counter_each_time() {
    let mut host = host();
    for f_cnt in 0..40 {
        host.uplink(&Up { f_cnt, f_ctrl: 0x40, ..Up::default() }.phy());
        read(&host.only_sent().phy, f_cnt);
        host.pass(3_000);
        host.pull(HERE);
    }
}

#[test]
fn a_confirmed_uplink_that_the_host_could_not_take_is_told_again_and_answered_when_it_is_taken() {
    let mut host = host();
    let uplink = host.uplink(&confirmed(7));
    assert!(host.network.uplink_rejected(uplink.token));
    // Even at once, when a copy of a slow forwarder is all that there is.
    host.push(2, &confirmed(7), 5.0);
    host.pass(200);
    let again = host.only_uplink();
    assert_eq!((again.f_cnt, again.again, again.one_given_up), (7, true, false));
    assert!(host.network.uplink_rejected(again.token));
    assert!(!host.network.uplink_rejected(uplink.token), "it is settled");
    host.pass(3_000);
    let third = host.uplink(&confirmed(7));
    assert!(host.sent().is_empty(), "nothing is acknowledged that nobody has");
    host.taken(third.token);
    assert_eq!(read(&host.only_sent().phy, 0).0, ACK);
    host.pass(3_000);
    host.push(HERE, &confirmed(7), 5.0);
    host.pass(200);
    assert!(host.uplinks().is_empty(), "now it counts once");
}

#[test]
fn a_frame_that_was_not_taken_is_told_as_given_up_once_with_its_devices_next_one() {
    let mut host = host();
    let uplink = host.uplink(&confirmed(0));
    assert!(host.network.uplink_rejected(uplink.token));
    host.push(HERE, &up(1), 5.0);
    host.push(HERE, &up(2), 5.0);
    host.pass(200);
    let given_up: Vec<_> = host.uplinks().iter().map(|uplink| uplink.one_given_up).collect();
    assert_eq!(given_up, [true, false]);
    host.push(HERE, &confirmed(0), 5.0);
    assert_eq!(host.refusals(), [Reason::Replay]);
}

#[test]
fn an_unconfirmed_frame_that_was_not_taken_is_lost() {
    let mut host = host();
    let uplink = host.uplink(&up(0));
    assert!(!host.network.uplink_rejected(uplink.token));
    assert!(!host.uplink(&up(1)).one_given_up, "the host has counted it");
}
