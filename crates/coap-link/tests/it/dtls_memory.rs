//! What a peer costs: a session, a handshake that goes no further, and one that a hostile client has stuffed. In a
//! process of its own, since it reads the whole process's memory.
#![allow(clippy::unwrap_used, reason = "a test's helpers fail the test")]

use std::net::SocketAddr;
use std::time::Instant;

use coap_link::dtls::{Client, Credentials, Key, Keys, Limits, Output, Server};
use coap_link::{Identity, Peer};
use testkit::{alone, resident};

const PEERS: usize = 1000;

fn key() -> Key {
    Key::new(b"sixteen byte key".to_vec()).unwrap()
}

/// A place of its own for each peer.
fn address(number: usize) -> SocketAddr {
    let [.., high, low] = number.to_be_bytes();
    SocketAddr::from(([10, 0, high, low], 1000))
}

struct Bench {
    server: Server,
    credentials: Credentials,
    peers: usize,
    now: Instant,
}

impl Bench {
    fn new() -> Self {
        #[expect(clippy::disallowed_methods, reason = "an Instant cannot be made otherwise")]
        let now = Instant::now();
        let mut keys = Keys::new();
        keys.insert(Identity::from("sensor01"), key()).unwrap();
        let limits = Limits {
            sessions: PEERS,
            sessions_per_identity: PEERS,
            half_open: 2 * PEERS + 1,
            ..Limits::default()
        };
        let server = Server::new(keys, limits, now).unwrap();
        let credentials = Credentials::new(Identity::from("sensor01"), key()).unwrap();
        Self { server, credentials, peers: 0, now }
    }

    /// Takes what the client sends to the server and back, `rounds` times.
    fn exchange(&mut self, client: &mut Client, from: SocketAddr, rounds: usize) {
        let there = client.peer().address;
        for _ in 0..rounds {
            while let Some(output) = client.poll() {
                if let Output::Send { bytes, .. } = output {
                    self.server.receive(from, &bytes, self.now);
                }
            }
            while let Some(output) = self.server.poll() {
                if let Output::Send { bytes, .. } = output {
                    client.receive(there, &bytes, self.now);
                }
            }
        }
    }

    /// A thousand more clients that get as far as `rounds`; what each costs in bytes.
    fn cost(&mut self, rounds: usize, then: fn(&mut Self, &mut Client, SocketAddr)) -> u64 {
        let before = resident();
        for _ in 0..PEERS {
            let from = address(self.peers);
            self.peers += 1;
            let mut client =
                Client::connect(SocketAddr::from(([10, 9, 9, 9], 5684)), &self.credentials, self.now);
            self.exchange(&mut client, from, rounds);
            then(self, &mut client, from);
        }
        resident().saturating_sub(before) / PEERS as u64
    }

    /// As a sensor does: readings, and answers to them.
    fn chat(&mut self, client: &mut Client, from: SocketAddr) {
        for _ in 0..20 {
            client.send(&[7; 100]).unwrap();
            self.exchange(client, from, 1);
            let peer = Peer::secured(from, Identity::from("sensor01"));
            self.server.send(&peer, &[7; 100]).unwrap();
            self.exchange(client, from, 1);
        }
    }

    /// Fills what a handshake may hold: fragments of messages that are not yet due.
    fn stuff(&mut self, _: &mut Client, from: SocketAddr) {
        for number in 0..11 {
            let header = [22, 0xFE, 0xFD, 0, 0, 0, 0, 0, 0, 0, number, 4, 12];
            let fragment = [16, 0, 4, 0, 0, 3 + number, 0, 0, 0, 0, 4, 0];
            self.server.receive(from, &[&header[..], &fragment, &[7; 1024]].concat(), self.now);
        }
        assert_eq!(self.server.poll(), None);
    }
}

#[test]
fn a_session_costs_less_than_20_kb_and_a_stuffed_handshake_less_than_100() {
    alone("dtls_memory::a_session_costs_less_than_20_kb_and_a_stuffed_handshake_less_than_100", measure);
}

fn measure() {
    let mut bench = Bench::new();
    // Half of a handshake: the second hello is answered, and the client is gone.
    let half_open = bench.cost(2, |_, _, _| {});
    let stuffed = bench.cost(2, Bench::stuff);
    assert_eq!((bench.server.sessions(), bench.server.handshakes()), (0, 2 * PEERS));
    let session = bench.cost(4, Bench::chat);
    assert_eq!((bench.server.sessions(), bench.server.handshakes()), (PEERS, 2 * PEERS));

    let figures = format!("a handshake {half_open} bytes, stuffed {stuffed}, a session {session}");
    show(&figures);
    assert!(half_open > 500 && stuffed > 10_000 && session > 500, "that was not measured: {figures}");
    assert!(half_open < 20_000 && stuffed < 100_000 && session < 20_000, "{figures}");
}

#[expect(clippy::print_stdout, reason = "figures, shown with --nocapture")]
fn show(figures: &str) {
    println!("{figures}");
}
