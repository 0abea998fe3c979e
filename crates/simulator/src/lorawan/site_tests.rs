//! Tests of a site without sockets and without waiting. The test acts as the network server, but makes no join sessions;
//! tests/test_lorawan_simulate.py covers joins.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lorawan::creator::DataPayloadCreator;
use lorawan::default_crypto::DefaultFactory;
use lorawan::keys::{AppSKey, NewSKey};
use lorawan::parser::FCtrl;
use serde_json::{Value, json};

use super::*;
use crate::lorawan::{Identity, Region};

const NOON: Timestamp = Timestamp::from_millis(1_795_176_000_000);
const EUI: u64 = 0xaa;

/// A site of nodes with a session, and the time passed.
struct Stage {
    site: Site,
    began: Instant,
    passed: Duration,
}

impl Stage {
    fn new(nodes: usize, confirmed: bool) -> Self {
        Self::of(nodes, confirmed, true)
    }

    #[expect(clippy::disallowed_methods, reason = "only differences matter")]
    fn of(nodes: usize, confirmed: bool, session: bool) -> Self {
        let began = Instant::now();
        let node = |place| {
            // All nodes are equally near, so that all send in the same way.
            let mut node = Node::new(Identity::new(1, place), Region::Eu868, 0, place as u64);
            if session {
                node.personalize();
            }
            node
        };
        let site = Site::new(EUI, (0..nodes).map(node).collect(), confirmed, began);
        Self { site, began, passed: Duration::ZERO }
    }

    fn now(&self) -> Now {
        Now { instant: self.began + self.passed, wall: NOON + self.passed }
    }

    fn send(&mut self, node: usize) {
        let payload = Payload { port: 2, bytes: vec![1, 2, 3], readings: 3 };
        let now = self.now();
        self.site.take(Task { node, payload: Some(payload) }, now);
    }

    /// Lets time pass, and handles all timeouts.
    fn pass(&mut self, time: Duration) -> Vec<Output> {
        let end = self.passed + time;
        let mut outputs = self.outputs();
        while self.site.next_deadline() <= self.began + end {
            self.passed = self.site.next_deadline().saturating_duration_since(self.began).max(self.passed);
            let now = self.now();
            self.site.timeout(now);
            outputs.extend(self.outputs());
        }
        self.passed = end;
        outputs
    }

    fn outputs(&mut self) -> Vec<Output> {
        std::iter::from_fn(|| self.site.poll()).collect()
    }

    fn receive(&mut self, datagram: &[u8]) -> Vec<Output> {
        let now = self.now();
        self.site.receive(datagram, now);
        self.outputs()
    }

    fn ack(&mut self, push: &[u8]) -> Vec<Output> {
        self.receive(&[2, push[1], push[2], 1])
    }

    /// Sends PULL_RESP with this frame, `micros` after the pushed frame's end; returns the TX_ACK.
    fn send_down(&mut self, pushed: &Value, micros: u64, frame: &str, change: &[(&str, Value)]) -> Value {
        let tmst = pushed["tmst"].as_u64().unwrap() + micros;
        let mut txpk = json!({ "tmst": tmst, "freq": pushed["freq"], "datr": pushed["datr"], "data": frame });
        change.iter().for_each(|(field, value)| txpk[*field] = value.clone());
        let mut datagram = vec![2, 0, 9, 3];
        datagram.extend(json!({ "txpk": txpk }).to_string().bytes());
        let outputs = self.receive(&datagram);
        let [Output::Send(ack)] = &outputs[..] else { panic!("{outputs:?}") };
        assert_eq!(ack[..12], [2, 0, 9, 5, 0, 0, 0, 0, 0, 0, 0, 0xaa]);
        serde_json::from_slice::<Value>(&ack[12..]).unwrap()["txpk_ack"]["error"].clone()
    }
}

/// The datagrams of a kind.
fn of_kind(kind: u8, outputs: &[Output]) -> Vec<&[u8]> {
    let datagrams = outputs.iter().filter_map(|output| match output {
        Output::Send(datagram) if datagram[3] == kind => Some(&**datagram),
        _ => None,
    });
    datagrams.collect()
}

fn pushes(outputs: &[Output]) -> Vec<&[u8]> {
    of_kind(0, outputs)
}

fn events(outputs: &[Output]) -> Vec<(usize, SiteEvent)> {
    let events = outputs.iter().filter_map(|output| match output {
        Output::Event(node, event) => Some((*node, *event)),
        Output::Send(_) => None,
    });
    events.collect()
}

fn rxpk(push: &[u8]) -> Value {
    serde_json::from_slice::<Value>(&push[12..]).unwrap()["rxpk"][0].clone()
}

const ARRIVED: SiteEvent = SiteEvent::Arrived { readings: 3 };

#[test]
fn a_push_ack_confirms_a_frame_and_the_node_continues_after_its_windows() {
    let mut stage = Stage::new(1, false);
    stage.send(0);
    let outputs = stage.outputs();
    let [push] = pushes(&outputs)[..] else { panic!("{outputs:?}") };
    assert_eq!(rxpk(push)["datr"], "SF7BW125");
    assert_eq!(events(&stage.ack(push)), [(0, ARRIVED)]);
    // RX1 after 1 s, RX2 a second later.
    assert_eq!(events(&stage.pass(Duration::from_millis(1_999))), []);
    assert_eq!(events(&stage.pass(Duration::from_secs(1))), [(0, SiteEvent::Ready)]);
    assert!(stage.site.is_idle());
}

#[test]
fn an_unacknowledged_push_is_repeated_unchanged_and_fails_in_the_end() {
    let mut stage = Stage::new(1, false);
    stage.send(0);
    let first = pushes(&stage.outputs())[0].to_vec();
    let outputs = stage.pass(Duration::from_secs(7));
    assert_eq!(pushes(&outputs), [&first[..]; 3], "after 1, 3 and 7 s");
    assert_eq!(events(&outputs), [(0, SiteEvent::Repeated); 3], "and the node waits");
    let outputs = stage.pass(Duration::from_secs(600));
    assert_eq!(pushes(&outputs).len(), MAX_PUSHES - 4);
    assert_eq!(events(&outputs)[MAX_PUSHES - 4..], [(0, SiteEvent::NotArrived), (0, SiteEvent::Ready)]);
}

#[test]
fn a_forwarder_keeps_the_downlink_path_open() {
    let mut stage = Stage::new(1, false);
    assert_eq!(of_kind(2, &stage.pass(Duration::from_secs(21))).len(), 5);
}

#[test]
fn a_confirmed_frame_is_repeated_with_its_counter_until_it_fails() {
    let mut stage = Stage::new(1, true);
    stage.send(0);
    let outputs = stage.outputs();
    let first = pushes(&outputs)[0].to_vec();
    assert_eq!(events(&stage.ack(&first)), [], "a PUSH_ACK is none for the node");
    let outputs = stage.pass(Duration::from_secs(60));
    let frames: Vec<_> = pushes(&outputs).into_iter().map(|push| rxpk(push)["data"].clone()).collect();
    assert!(frames.iter().all(|frame| *frame == rxpk(&first)["data"]), "{frames:?}");
    let last = events(&outputs);
    assert_eq!(last[last.len() - 2..], [(0, SiteEvent::NotArrived), (0, SiteEvent::Ready)]);
    assert!(frames.len() >= MAX_TRANSMISSIONS as usize - 1);
}

#[test]
fn a_node_receives_only_downlinks_that_match_its_window() {
    let acknowledgement = acknowledgement();
    for (micros, change, received) in [
        (1_000_000, vec![], true),
        (2_000_000, vec![("freq", json!(869.525)), ("datr", json!("SF12BW125"))], true),
        (2_000_000, vec![], false),
        (1_000_001, vec![], false),
        (3_000_000, vec![], false),
        (1_000_000, vec![("freq", json!(867.1))], false),
        (1_000_000, vec![("datr", json!("SF8BW125"))], false),
    ] {
        let mut stage = Stage::new(2, true);
        stage.send(0);
        let outputs = stage.outputs();
        let pushed = rxpk(pushes(&outputs)[0]);
        assert_eq!(stage.send_down(&pushed, micros, &acknowledgement, &change), "NONE");
        let outcome = events(&stage.pass(Duration::from_millis(2_500)));
        let expected = if received { (0, ARRIVED) } else { (0, SiteEvent::Repeated) };
        assert!(outcome.contains(&expected), "{micros} {change:?}: {outcome:?}");
    }
}

#[test]
fn a_downlink_after_its_window_is_too_late() {
    let mut stage = Stage::new(1, true);
    stage.send(0);
    let pushed = rxpk(pushes(&stage.outputs())[0]);
    stage.pass(Duration::from_millis(1_001));
    assert_eq!(stage.send_down(&pushed, 1_000_000, &acknowledgement(), &[]), "TOO_LATE");
}

#[test]
fn a_forged_acknowledgement_is_ignored() {
    let mut stage = Stage::new(1, true);
    stage.send(0);
    let pushed = rxpk(pushes(&stage.outputs())[0]);
    let mut forged = STANDARD.decode(acknowledgement()).unwrap();
    forged[9] ^= 1;
    let forged = STANDARD.encode(forged);
    assert_eq!(stage.send_down(&pushed, 1_000_000, &forged, &[]), "NONE");
    assert_eq!(events(&stage.pass(Duration::from_millis(2_500)))[0], (0, SiteEvent::Repeated));
}

#[test]
fn a_node_without_a_session_asks_three_times_to_join_and_is_not_ready() {
    let mut stage = Stage::of(1, false, false);
    let now = stage.now();
    stage.site.take(Task { node: 0, payload: None }, now);
    let mut outputs = stage.pass(Duration::from_secs(30));
    outputs.retain(|output| {
        matches!(output, Output::Event(..)) || !pushes(std::slice::from_ref(output)).is_empty()
    });
    let frames: std::collections::BTreeSet<_> =
        pushes(&outputs).into_iter().map(|push| rxpk(push)["data"].to_string()).collect();
    assert_eq!(frames.len(), MAX_JOINS as usize, "each with another DevNonce");
    assert_eq!(events(&outputs).last(), Some(&(0, SiteEvent::NotJoined)));
    assert!(stage.site.is_idle());
}

#[test]
fn no_two_frames_end_at_the_same_time() {
    let mut stage = Stage::new(3, false);
    (0..3).for_each(|node| stage.send(node));
    let outputs = stage.outputs();
    let ends = pushes(&outputs).into_iter().map(|push| rxpk(push)["tmst"].as_u64().unwrap());
    assert_eq!(ends.collect::<std::collections::BTreeSet<_>>().len(), 3);
}

/// An acknowledgement for the first node with counter 1 and a valid MIC.
fn acknowledgement() -> String {
    let identity = Identity::new(1, 0);
    let mut frame = DataPayloadCreator::with_options([0; 255], DefaultFactory).unwrap();
    frame.set_uplink(false).set_confirmed(false).set_fcnt(1);
    frame.set_dev_addr(identity.dev_addr.to_le_bytes()).set_fctrl(&FCtrl::new(0x20, false));
    let keys = (NewSKey::from(identity.nwk_skey), AppSKey::from(identity.app_skey));
    STANDARD.encode(frame.build(&[], &[], &keys.0, &keys.1).unwrap())
}
