//! What a peer costs: 1,000 sessions, and as many handshakes that go no further. One test in a process of its own, since it
//! reads the whole process's memory.
#![allow(clippy::unwrap_used, reason = "a test's helpers fail the test")]

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use coap_link::Identity;
use coap_link::dtls::{Client, Credentials, Key, Keys, Limits, Output, Server};

const PEERS: usize = 1000;
/// What a peer may cost at most.
const AIM: usize = 20_000;

fn key() -> Key {
    Key::new(b"sixteen byte key".to_vec()).unwrap()
}

/// The process's memory in bytes.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().strip_suffix(" kB").unwrap().parse::<usize>().unwrap() * 1024
}

fn address(number: usize) -> SocketAddr {
    SocketAddr::from((
        [10, 0, u8::try_from(number / 250).unwrap(), u8::try_from(number % 250).unwrap()],
        1000,
    ))
}

/// Takes what the client sends to the server and back, `rounds` times.
fn exchange(server: &mut Server, client: &mut Client, from: SocketAddr, rounds: usize, now: Instant) {
    let there = client.peer().address;
    for _ in 0..rounds {
        while let Some(output) = client.poll() {
            if let Output::Send { bytes, .. } = output {
                server.receive(from, &bytes, now);
            }
        }
        while let Some(output) = server.poll() {
            if let Output::Send { bytes, .. } = output {
                client.receive(there, &bytes, now);
            }
        }
    }
}

#[test]
fn a_session_and_a_handshake_that_goes_no_further_cost_less_than_20_kb_each() {
    #[expect(clippy::disallowed_methods, reason = "an Instant cannot be made otherwise")]
    let mut now = Instant::now();
    let mut keys = Keys::new();
    keys.insert(Identity::from("sensor01"), key()).unwrap();
    let limits = Limits { sessions_per_identity: PEERS, half_open: PEERS + 1, ..Limits::default() };
    let mut server = Server::new(keys, limits, now).unwrap();
    let credentials = Credentials::new(Identity::from("sensor01"), key()).unwrap();
    let there = SocketAddr::from(([10, 9, 9, 9], 5684));

    let mut open = |rounds: usize, first: usize| {
        let before = resident();
        for number in first..first + PEERS {
            let mut client = Client::connect(there, &credentials, now);
            exchange(&mut server, &mut client, address(number), rounds, now);
            // As a sensor does: readings, and answers to them.
            for _ in 0..20 {
                if client.send(&[7; 100]).is_ok() {
                    exchange(&mut server, &mut client, address(number), 1, now);
                    let peer = coap_link::Peer::secured(address(number), Identity::from("sensor01"));
                    server.send(&peer, &[7; 100]).unwrap();
                    exchange(&mut server, &mut client, address(number), 1, now);
                }
            }
        }
        now += Duration::from_secs(1);
        let counts = (server.sessions(), server.handshakes());
        (counts, resident().saturating_sub(before) / PEERS)
    };

    // Half of a handshake: the second hello is answered, and the client is gone.
    let (counts, half_open) = open(2, 0);
    assert_eq!(counts, (0, PEERS));
    let (counts, established) = open(5, PEERS);
    assert_eq!(counts, (PEERS, PEERS));
    println_figures(half_open, established);
    assert!(half_open > 500, "{half_open} bytes: that was not measured");
    assert!(half_open < AIM && established < AIM, "{half_open} and {established} bytes");
}

#[expect(clippy::print_stdout, reason = "figures, shown with --nocapture")]
fn println_figures(half_open: usize, established: usize) {
    println!("a handshake under way: {half_open} bytes; a session: {established} bytes");
}
