//! What forwarders see of a network.

use lorawan_link::{Output, Reason, Settings};

use crate::support::{HERE, Host, abp, address, datagram, gateway_eui, host, settings, up};

fn replies(host: &mut Host) -> Vec<Vec<u8>> {
    let sent = |output| match output {
        Output::Send { bytes, .. } => Some(bytes),
        _ => None,
    };
    host.outputs().into_iter().filter_map(sent).collect()
}

#[test]
fn each_datagram_is_confirmed_to_its_sender_in_its_own_version() {
    let mut host = Host::new(settings());
    for (kind, reply) in [(0, 1), (2, 4)] {
        for version in [1, 2] {
            let mut bytes = datagram(kind, HERE, "");
            bytes[0] = version;
            host.receive(HERE, &bytes);
            let expected = Output::Send { to: address(HERE), bytes: vec![version, 0x12, 0x34, reply] };
            assert_eq!(host.outputs(), [expected]);
        }
    }
}

#[test]
fn broken_json_is_confirmed_and_counted() {
    let mut host = host();
    host.receive(HERE, &datagram(0, HERE, "{\"rxpk\":[{\"tmst\":1"));
    assert_eq!(host.refusals(), [Reason::Json]);
    assert_eq!(replies(&mut host).len(), 1);
}

#[test]
fn what_is_no_datagram_is_met_with_silence() {
    let mut host = host();
    let mut other_version = datagram(0, HERE, "");
    other_version[0] = 9;
    for bytes in [&other_version[..], &[2, 0xaa, 0xbb], &datagram(3, HERE, ""), &datagram(0, HERE, "")[..11]]
    {
        host.receive(HERE, bytes);
    }
    let expected = [Reason::Version, Reason::DatagramShort, Reason::DatagramKind, Reason::DatagramShort];
    assert_eq!(host.refusals(), expected);
    assert!(host.outputs().is_empty());
}

#[test]
fn figures_and_paths_of_forwarders_are_readable_and_their_number_is_bounded() {
    let mut host = Host::new(Settings { gateways: 2, ..settings() });
    host.receive(1, &datagram(0, 1, r#"{"stat":{"lati":46.24,"rxnb":2}}"#));
    host.pull(2);
    host.pull(3);
    assert_eq!(host.refusals(), [Reason::GatewaysFull]);
    let now = host.now();
    let mut views = host.network.gateways(now);
    views.sort_by_key(|view| view.gateway);
    assert_eq!((views.len(), views[0].gateway, views[0].path), (2, gateway_eui(1), None));
    assert_eq!(views[0].stat.as_ref().unwrap().latitude, Some(46.24));
    assert_eq!(views[1].path, Some(address(2)));
    host.pass(3_600_000);
    host.pull(3);
    assert!(host.refusals().is_empty(), "the others were silent for an hour");
    assert_eq!(host.network.memory_use().gateways, 1);
}

#[test]
fn a_forwarder_of_version_one_is_spoken_to_in_it() {
    let mut host = Host::new(settings());
    host.network.add(abp(1), None);
    let mut pull = datagram(2, HERE, "");
    pull[0] = 1;
    host.receive(HERE, &pull);
    host.send(b"on", false);
    host.uplink(&up(0));
    let downlinks = host.outputs.iter().filter_map(|output| match output {
        Output::Transmit(transmission) => Some(&transmission.bytes),
        _ => None,
    });
    assert_eq!(downlinks.map(|bytes| (bytes[0], bytes[3])).collect::<Vec<_>>(), [(1, 3)]);
    host.pass(2_000);
    assert_eq!(host.outcomes().len(), 1);
}
