//! Adaptive data rate and the daily question for the battery.

use lorawan_link::{Region, Settings};

use crate::support::{HERE, Host, Up, abp, host, read, settings};

const ADR: u8 = 0x80;

fn frame(f_cnt: u32, commands: &[&[u8]]) -> Vec<u8> {
    Up { f_cnt, f_ctrl: ADR, commands, ..Up::default() }.phy()
}

/// The LinkADRReq that is sent behind 20 frames.
fn asked_after_twenty(host: &mut Host, first: u32) -> Option<Vec<u8>> {
    for f_cnt in first..first + 20 {
        host.pull(HERE);
        host.uplink(&frame(f_cnt, &[]));
        host.pass(3_000);
    }
    let sent = host.sent();
    sent.first().map(|sent| sent.phy[8..8 + usize::from(sent.phy[5] & 15)].to_vec())
}

#[test]
fn a_device_with_a_good_link_is_told_to_be_faster_and_then_quieter() {
    let mut host = host();
    // SF9, 5 dB: 7.5 dB more than needed are two steps.
    assert_eq!(asked_after_twenty(&mut host, 0).unwrap(), [0x03, 0x50, 0, 0, 0x61]);
    host.uplink(&frame(20, &[&[0x03, 0x07]]));
    assert!(host.sent().is_empty(), "no question twice");
}

#[test]
fn a_device_that_does_not_obey_is_not_asked_again() {
    let mut host = host();
    assert!(asked_after_twenty(&mut host, 0).is_some());
    host.uplink(&frame(20, &[&[0x03, 0x03]]));
    assert_eq!(asked_after_twenty(&mut host, 21), None);
}

#[test]
fn adr_is_for_devices_that_want_it_and_networks_that_allow_it() {
    let mut host = Host::new(Settings { adr: false, ..settings() });
    host.network.add(abp(1), None);
    assert_eq!(asked_after_twenty(&mut host, 0), None);
    let mut host = crate::support::host();
    for f_cnt in 0..30 {
        host.uplink(&Up { f_cnt, ..Up::default() }.phy());
    }
    assert!(host.sent().is_empty());
}

#[test]
fn the_battery_is_asked_for_once_a_day() {
    let mut host = Host::new(Settings::new(Region::Eu868));
    host.network.add(abp(1), None);
    let mut asked = Vec::new();
    for hour in 0..50 {
        host.pull(HERE);
        host.uplink(&Up { f_cnt: hour, ..Up::default() }.phy());
        for sent in host.sent() {
            assert_eq!(read(&sent.phy, asked.len() as u32).1, [0x06]);
            asked.push(hour);
        }
        host.pass(3_600_000 - 200);
    }
    assert_eq!(asked, [0, 24, 48]);
}
