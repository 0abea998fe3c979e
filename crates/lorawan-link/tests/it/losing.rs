//! What goes on when the state that was stored of a device is lost: nothing is used twice.

use lorawan_link::{Activation, DeviceConfig, DeviceState, Reason, Region};

use crate::support::{HERE, Host, abp, join_request, otaa, read, settings, up, wall};

fn lost(config: &DeviceConfig) -> DeviceState {
    let state = DeviceState::after_loss(config, Region::Eu868, wall());
    // As the host reads it at the next start.
    serde_json::from_str(&serde_json::to_string(&state).unwrap()).unwrap()
}

fn with_last(last_f_cnt_up: Option<u32>, resets: bool) -> DeviceConfig {
    let mut config = abp(1);
    let Activation::Abp(session) = &mut config.activation else { panic!("an ABP device") };
    (session.last_f_cnt_up, session.resets) = (last_f_cnt_up, resets);
    config
}

fn host(config: &DeviceConfig, state: DeviceState) -> Host {
    let mut host = Host::new(settings());
    host.network.add(config.clone(), Some(state));
    host.pull(HERE);
    host.outputs();
    host
}

#[test]
fn an_abp_device_whose_counters_are_lost_is_heard_when_its_owner_says_where_they_are() {
    let before = with_last(None, false);
    let state = lost(&before);
    let mut locked = host(&before, state.clone());
    locked.push(HERE, &up(500), 5.0);
    assert_eq!((locked.refusals(), locked.network.locked().count()), (vec![Reason::CountersLost], 1));
    let mut informed = host(&with_last(Some(500), false), state);
    assert_eq!(informed.network.locked().count(), 0);
    informed.push(HERE, &up(500), 5.0);
    assert_eq!(informed.refusals(), [Reason::Replay]);
    informed.send(b"on", false);
    informed.uplink(&up(501));
    // The counter of its downlinks lies behind that of its uplinks.
    let sent = informed.only_sent();
    let counter = u16::from_le_bytes([sent.phy[6], sent.phy[7]]);
    assert!(counter > 500);
    assert_eq!(read(&sent.phy, counter.into()).2, b"on");
    let (_, stored) = informed.stores().unwrap();
    assert_eq!(stored.locked, None);
}

#[test]
fn a_counter_that_was_written_before_the_loss_unlocks_nothing() {
    let before = with_last(Some(3), false);
    let mut locked = host(&before, lost(&before));
    locked.push(HERE, &up(500), 5.0);
    assert_eq!(locked.refusals(), [Reason::CountersLost]);
}

#[test]
fn a_device_that_may_reset_or_has_new_keys_begins_anew() {
    let mut resets = host(&with_last(None, true), lost(&with_last(None, true)));
    assert_eq!(resets.uplink(&up(0)).f_cnt, 0);
    let mut may_now = host(&with_last(None, true), lost(&with_last(None, false)));
    assert_eq!(may_now.uplink(&up(0)).f_cnt, 0);
    let mut other = with_last(None, false);
    let Activation::Abp(session) = &mut other.activation else { panic!("an ABP device") };
    session.app_s_key = lorawan_link::Key::new([9; 16]);
    let mut renewed = host(&with_last(None, false), lost(&other));
    assert_eq!(renewed.uplink(&up(0)).f_cnt, 0);
}

#[test]
fn a_device_that_joins_is_told_no_nonce_twice() {
    let config = otaa(1);
    let mut host = host(&config, lost(&config));
    host.push(HERE, &join_request(1, 7), 5.0);
    host.pass(200);
    let (token, state) = host.stores().unwrap();
    assert!(state.app_nonces > 3_000_000, "{}", state.app_nonces);
    host.stored(token);
    host.only_sent();
}
