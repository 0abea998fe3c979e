//! Downlinks of the host's.

use std::time::Duration;

use lorawan_link::{Class, DeviceConfig, Failure, Outcome, SendError, TxError};

use crate::support::{HERE, Host, Up, abp, confirmed, dev_eui, gateway_eui, host, read, settings, up};

#[test]
fn a_downlink_waits_for_the_devices_next_frame() {
    let mut host = host();
    let id = host.send(b"on", false);
    host.pass(10_000);
    assert!(host.sent().is_empty());
    host.uplink(&up(0));
    let sent = host.only_sent();
    assert_eq!((sent.phy[0], read(&sent.phy, 0)), (0x60, (0, vec![], b"on".to_vec())));
    host.tx_ack(&sent, "NONE");
    assert_eq!(host.outcomes(), [(id, Outcome::Sent)]);
}

#[test]
fn a_downlink_that_comes_just_behind_an_uplink_still_makes_it() {
    let mut host = host();
    host.uplink(&up(0));
    host.pass(300);
    host.send(b"on", false);
    assert_eq!(host.only_sent().data_rate, "SF9BW125");
    host.send(b"off", false);
    assert!(host.sent().is_empty(), "a device hears one frame behind each of its own");
    host.uplink(&up(1));
    assert_eq!(read(&host.only_sent().phy, 1).2, b"off");
}

#[test]
fn more_that_waits_is_announced() {
    let mut host = host();
    host.send(b"1", false);
    host.send(b"2", false);
    host.uplink(&up(0));
    assert_eq!(read(&host.only_sent().phy, 0).0, 0x10);
    host.uplink(&up(1));
    assert_eq!(read(&host.only_sent().phy, 1).0, 0);
}

#[test]
fn a_downlink_travels_with_the_answer_to_a_confirmed_uplink() {
    let mut host = host();
    host.send(b"on", false);
    let uplink = host.uplink(&confirmed(0));
    assert!(host.sent().is_empty());
    host.taken(uplink.token);
    assert_eq!(read(&host.only_sent().phy, 0), (0x20, vec![], b"on".to_vec()));
}

#[test]
fn a_confirmed_downlink_is_confirmed_by_the_next_frame_or_not_at_all() {
    let mut host = host();
    for (f_cnt, f_ctrl, expected) in
        [(0, 0x20, Outcome::Acknowledged), (2, 0, Outcome::Failed(Failure::NotAcknowledged))]
    {
        let id = host.send(b"on", true);
        host.uplink(&up(f_cnt));
        let sent = host.only_sent();
        assert_eq!(sent.phy[0], 0xa0);
        host.tx_ack(&sent, "NONE");
        host.pass(3_000);
        assert_eq!(host.outcomes(), [(id, Outcome::Sent)]);
        host.uplink(&Up { f_cnt: f_cnt + 1, f_ctrl, ..Up::default() }.phy());
        assert_eq!(host.outcomes(), [(id, expected)]);
    }
}

#[test]
fn a_forwarder_that_says_nothing_is_taken_to_have_sent() {
    let mut host = host();
    let id = host.send(b"on", false);
    host.uplink(&up(0));
    host.pass(1_999);
    assert!(host.outcomes().is_empty());
    host.pass(1);
    assert_eq!(host.outcomes(), [(id, Outcome::Sent)]);
    assert_eq!(host.network.memory_use().transmissions, 0);
}

#[test]
fn what_a_forwarder_refuses_is_tried_in_the_second_window_and_then_told() {
    let mut host = host();
    let id = host.send(b"on", false);
    host.uplink(&up(0));
    let first = host.only_sent();
    host.tx_ack(&first, "COLLISION_PACKET");
    let second = host.only_sent();
    assert_eq!((second.frequency, &second.phy), (869.525, &first.phy));
    assert_eq!(second.tmst, first.tmst.map(|tmst| tmst.wrapping_add(1_000_000)));
    host.tx_ack(&first, "TOO_LATE");
    assert!(host.outcomes().is_empty(), "it speaks of a frame that is settled");
    host.tx_ack(&second, "TX_FREQ");
    assert_eq!(host.outcomes(), [(id, Outcome::Failed(Failure::Forwarder(TxError::TxFreq)))]);
    let now = host.now();
    let used: Duration = host.network.gateways(now)[0].duty_cycle.iter().map(|each| each.used).sum();
    assert_eq!(used, Duration::ZERO, "what was not sent does not count");
}

#[test]
fn payloads_are_bounded_by_the_data_rate() {
    let mut host = host();
    let now = host.now();
    let result = host.network.send(dev_eui(1), 5, vec![0; 243], false, now);
    assert_eq!(result, Err(SendError::TooLong { length: 243, most: 242 }));
    // SF9 takes 115 bytes, SF12 51.
    let too_long = host.send(&[0; 116], false);
    let fits = host.send(&[1; 115], false);
    host.uplink(&up(0));
    assert_eq!(host.outcomes(), [(too_long, Outcome::Failed(Failure::TooLong))]);
    let sent = host.only_sent();
    assert_eq!(read(&sent.phy, 0).2.len(), 115);
    host.tx_ack(&sent, "TOO_LATE");
    assert_eq!(host.outcomes(), [(fits, Outcome::Failed(Failure::Forwarder(TxError::TooLate)))]);
    assert!(host.sent().is_empty(), "the second window is too slow for it");
}

#[test]
fn only_devices_ports_and_queues_with_room_are_sent_to() {
    let mut host = host();
    let now = host.now();
    let mut send = |device, f_port| host.network.send(dev_eui(device), f_port, vec![1], false, now);
    assert_eq!(send(9, 1), Err(SendError::UnknownDevice { device: dev_eui(9) }));
    assert_eq!(
        (send(1, 0), send(1, 224)),
        (Err(SendError::Port { f_port: 0 }), Err(SendError::Port { f_port: 224 }))
    );
    let ids: Vec<_> = (0..16).map(|_| send(1, 1).unwrap()).collect();
    assert_eq!(send(1, 1), Err(SendError::QueueFull { device: dev_eui(1), waiting: 16 }));
    host.network.remove(dev_eui(1));
    host.pass(0);
    let now = host.now();
    host.network.timeout(now);
    host.outputs.extend(std::iter::from_fn(|| host.network.poll()));
    let removed: Vec<_> = ids.into_iter().map(|id| (id, Outcome::Failed(Failure::Removed))).collect();
    assert_eq!(host.outcomes(), removed);
}

#[test]
fn a_device_of_class_c_is_sent_to_at_once() {
    let mut host = Host::new(settings());
    host.network.add(DeviceConfig { class: Class::C, ..abp(1) }, None);
    host.pull(HERE);
    let id = host.send(b"on", false);
    let sent = host.only_sent();
    assert_eq!((sent.tmst, sent.frequency, sent.data_rate.as_str()), (None, 869.525, "SF12BW125"));
    let waiting = host.send(b"off", false);
    host.sent();
    host.tx_ack(&sent, "NONE");
    assert_eq!(host.outcomes()[0], (id, Outcome::Sent));
    host.pass(3_000);
    assert_eq!(host.outcomes(), [(waiting, Outcome::Sent)]);
    host.push(2, &up(0), 9.0);
    host.push(HERE, &up(0), 1.0);
    host.pull(2);
    host.pass(200);
    host.send(b"on", false);
    assert_eq!(host.only_sent().gateway, 2, "the gateway with the best reception");
}

#[test]
fn the_best_gateway_that_listens_and_may_send_does() {
    let mut host = host();
    let answering_gateway = |host: &mut Host, f_cnt| {
        host.pull(HERE);
        host.push(2, &up(f_cnt), 9.0);
        host.push(HERE, &up(f_cnt), 1.0);
        host.pass(200);
        let sent = host.only_sent();
        host.tx_ack(&sent, "NONE");
        sent.gateway
    };
    host.send(b"on", false);
    assert_eq!(answering_gateway(&mut host, 0), HERE, "the better one does not ask for downlinks");
    host.pull(2);
    host.send(b"on", false);
    assert_eq!(answering_gateway(&mut host, 1), 2);
    host.pass(61_000);
    host.send(b"on", false);
    assert_eq!(answering_gateway(&mut host, 2), HERE, "the better one has gone");
}

#[test]
fn a_gateway_keeps_to_its_share_of_the_air_and_goes_on_in_another_sub_band() {
    let mut host = host();
    let mut frequencies = Vec::new();
    for f_cnt in 0..120 {
        host.pull(HERE);
        // 115 bytes at SF9: 0.7 s; one per cent are 36 s an hour.
        host.send(&[0; 51], false);
        host.uplink(&up(f_cnt));
        let sent = host.only_sent();
        frequencies.push(sent.frequency);
        host.tx_ack(&sent, "NONE");
        host.pass(2_000);
    }
    let now = host.now();
    let gateways = host.network.gateways(now);
    assert_eq!((gateways.len(), gateways[0].gateway), (1, gateway_eui(HERE)));
    for each in &gateways[0].duty_cycle {
        assert!(each.used <= each.allowed, "{each:?}");
    }
    let full = gateways[0].duty_cycle.iter().find(|each| each.band.name == "h1.4").unwrap();
    assert!(full.used > Duration::from_secs(35), "{full:?}");
    let first = frequencies.iter().position(|frequency| *frequency == 869.525).unwrap();
    assert!(frequencies[..first].iter().all(|frequency| *frequency == 868.3));
    assert!(frequencies[first..].iter().all(|frequency| *frequency == 869.525));
}

#[test]
fn a_downlink_is_told_as_sent_only_after_it_has_left() {
    let mut host = host();
    host.holds_back = true;
    let id = host.send(b"on", false);
    host.uplink(&up(0));
    let [held] = &host.held_back()[..] else { panic!("one frame") };
    assert_eq!(
        held.until,
        host.start + Duration::from_millis(800),
        "the first window less the time for the way"
    );
    host.pass(10_000);
    assert!(host.outcomes().is_empty());
    host.left(held.id);
    host.pass(2_000);
    assert_eq!(host.outcomes(), [(id, Outcome::Sent)]);
}

#[test]
fn a_downlink_that_is_withheld_is_tried_in_the_second_window_and_then_told_as_failed() {
    let mut host = host();
    host.holds_back = true;
    let id = host.send(b"on", false);
    host.uplink(&up(0));
    let [first] = &host.held_back()[..] else { panic!("one frame") };
    host.pass(800);
    host.withheld(first.id);
    let [second] = &host.held_back()[..] else { panic!("the second window") };
    assert_eq!(second.until, first.until + Duration::from_secs(1));
    host.pass(1_000);
    host.withheld(second.id);
    host.left(second.id);
    host.pass(10_000);
    assert_eq!(host.outcomes(), [(id, Outcome::Failed(Failure::Withheld))]);
    assert_eq!(host.network.memory_use().transmissions, 0);
    let now = host.now();
    let used: Duration = host.network.gateways(now)[0].duty_cycle.iter().map(|each| each.used).sum();
    assert_eq!(used, Duration::ZERO, "what was not sent does not count");
}

#[test]
fn a_confirmation_that_overtakes_the_forwarders_word_counts() {
    let mut host = host();
    let id = host.send(b"on", true);
    host.uplink(&up(0));
    assert!(host.outcomes().is_empty(), "the forwarder has said nothing yet");
    host.uplink(&Up { f_cnt: 1, f_ctrl: 0x20, ..Up::default() }.phy());
    assert_eq!(host.outcomes(), [(id, Outcome::Sent), (id, Outcome::Acknowledged)]);
    host.pass(5_000);
    host.uplink(&up(2));
    assert!(host.outcomes().is_empty());
}

#[test]
fn each_of_two_confirmed_downlinks_to_a_device_of_class_c_has_an_outcome() {
    let mut host = Host::new(settings());
    host.network.add(DeviceConfig { class: Class::C, ..abp(1) }, None);
    host.pull(HERE);
    let (first, second) = (host.send(b"on", true), host.send(b"off", true));
    host.pass(3_000);
    host.uplink(&Up { f_ctrl: 0x20, ..Up::default() }.phy());
    let outcomes = host.outcomes();
    assert!(outcomes.contains(&(first, Outcome::Failed(Failure::NotAcknowledged))), "{outcomes:?}");
    assert!(outcomes.contains(&(second, Outcome::Acknowledged)), "{outcomes:?}");
}

#[test]
fn a_command_for_a_device_of_class_c_waits_for_a_forwarder_that_listens() {
    let mut host = Host::new(settings());
    host.network.add(DeviceConfig { class: Class::C, ..abp(1) }, None);
    let id = host.send(b"on", false);
    assert!(host.sent().is_empty());
    host.pass(5_000);
    host.pull(HERE);
    host.only_sent();
    host.pass(2_000);
    assert_eq!(host.outcomes(), [(id, Outcome::Sent)]);
}
