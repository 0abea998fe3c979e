//! Against a DTLS server of our own, datagram by datagram.

use coap_link::dtls::{Key, Keys, Limits, Output, Server};

use super::*;

const KEY: &str = "sixteen byte key";

struct Bench {
    sessions: Sessions,
    server: Server,
    now: Instant,
    events: Vec<SessionEvent>,
    received: Vec<Vec<u8>>,
}

fn address() -> SocketAddr {
    "10.0.0.9:5684".parse().unwrap()
}

fn riser() -> SocketAddr {
    "10.0.0.1:40000".parse().unwrap()
}

fn key(text: &str) -> Key {
    Key::new(text.as_bytes().to_vec()).unwrap()
}

fn server(now: Instant) -> Server {
    let mut keys = Keys::new();
    keys.insert("riser".into(), key(KEY)).unwrap();
    Server::new(keys, Limits::default(), now).unwrap()
}

impl Bench {
    fn new() -> Self {
        let now = tokio::time::Instant::now().into_std();
        Self {
            sessions: Sessions::default(),
            server: server(now),
            now,
            events: Vec::new(),
            received: Vec::new(),
        }
    }

    fn want_as(&mut self, identity: &str, secret: &str) -> SessionState {
        let identity = Identity::from(identity);
        let credentials = Credentials::new(identity.clone(), key(secret)).unwrap();
        let wanted = self.sessions.get_or_connect(address(), &identity, &credentials, self.now);
        self.pump();
        wanted
    }

    fn want(&mut self) -> SessionState {
        self.want_as("riser", KEY)
    }

    fn pump(&mut self) {
        loop {
            let mut quiet = true;
            while let Some(events) = self.sessions.poll() {
                quiet = false;
                match events {
                    SessionEvent::Send { bytes, .. } => self.server.receive(riser(), &bytes, self.now),
                    other => self.events.push(other),
                }
            }
            while let Some(output) = self.server.poll() {
                quiet = false;
                match output {
                    Output::Send { bytes, .. } => {
                        self.sessions.receive(address(), &bytes, self.now);
                    }
                    Output::Plain { bytes, .. } => self.received.push(bytes),
                    _ => {}
                }
            }
            if quiet {
                return;
            }
        }
    }

    fn pass(&mut self, seconds: u64, is_needed: bool) {
        let end = self.now + Duration::from_secs(seconds);
        while let Some(due) = self.sessions.next_deadline().filter(|due| *due <= end) {
            self.now = self.now.max(due);
            self.sessions.timeout(self.now, |_| is_needed);
            self.pump();
        }
        self.now = end;
    }

    fn peer(&self) -> Peer {
        Peer::secured(address(), "riser".into())
    }
}

#[test]
fn one_session_a_device_serves_all_who_want_it() {
    let mut bench = Bench::new();
    assert_eq!(bench.want(), SessionState::Opening(bench.peer()));
    assert_eq!(bench.events, [SessionEvent::Opened { peer: bench.peer() }]);
    assert_eq!(bench.want(), SessionState::Open(bench.peer()));
    bench.sessions.send(&bench.peer(), b"hello", bench.now);
    bench.pump();
    assert_eq!(bench.received, [b"hello"]);
    assert_eq!(bench.want_as("another", KEY), SessionState::OtherIdentity("riser".into()));
}

#[test]
fn a_wrong_key_is_told_and_the_next_attempt_begins_anew() {
    let mut bench = Bench::new();
    assert_eq!(bench.want_as("riser", "another key"), SessionState::Opening(bench.peer()));
    bench.pass(60, true);
    let [SessionEvent::Closed { reason, .. }] = &bench.events[..] else { panic!("{:?}", bench.events) };
    assert!(reason.starts_with("no DTLS session: "), "{reason}");
    assert_eq!(bench.want(), SessionState::Opening(bench.peer()));
    assert_eq!(bench.events.last(), Some(&SessionEvent::Opened { peer: bench.peer() }));
}

#[test]
fn a_session_is_closed_when_nobody_has_needed_it_for_long() {
    let mut bench = Bench::new();
    bench.want();
    bench.events.clear();
    bench.pass(600, true);
    assert_eq!(bench.events, []);
    assert_eq!(bench.want(), SessionState::Open(bench.peer()));
    bench.pass(59, false);
    assert_eq!(bench.events, []);
    bench.pass(2, false);
    assert!(matches!(bench.events[..], [SessionEvent::Closed { .. }]), "{:?}", bench.events);
    assert_eq!(bench.sessions.next_deadline(), None);
}

#[test]
fn what_comes_from_elsewhere_or_is_for_a_session_that_is_gone_is_left_alone() {
    let mut bench = Bench::new();
    bench.sessions.receive(address(), b"\x16\xfe\xfd", bench.now);
    assert_eq!(bench.sessions.poll(), None);
    bench.want();
    bench.sessions.close_all();
    bench.pump();
    bench.sessions.send(&bench.peer(), b"late", bench.now);
    bench.pump();
    assert_eq!(bench.received, Vec::<Vec<u8>>::new());
}
