//! The thinnest loops around a server and a client: a thread with a UDP socket.

use std::io::{ErrorKind, Write};
use std::net::{SocketAddr, UdpSocket};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use coap_link::Identity;
use coap_link::dtls::{Client, Credentials, Key, Keys, Limits, Output, Server};

pub(crate) const IDENTITY: &str = "sensor01";
pub(crate) const KEY: &str = "sixteen byte key";
/// For OpenSSL's command.
pub(crate) const OUR_SUITE: &[&str] = &["-cipher", "PSK-AES128-CCM8:@SECLEVEL=0"];
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

#[expect(clippy::disallowed_methods, reason = "real peers live in real time")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

pub(crate) fn hex(text: &str) -> String {
    text.bytes().map(|byte| format!("{byte:02x}")).collect()
}

pub(crate) fn key(text: &str) -> Key {
    Key::new(text.as_bytes().to_vec()).unwrap()
}

/// Waits until `done`, or fails with the text of `what`.
pub(crate) fn until(done: impl Fn() -> bool, what: impl Fn() -> String) {
    let end = now() + PATIENCE;
    while !done() {
        assert!(now() < end, "{}", what());
        std::thread::park_timeout(Duration::from_millis(10));
    }
}

/// A server on a free port. Answers plaintext with what `answer` makes of it.
pub(crate) struct Serving {
    pub(crate) address: SocketAddr,
    pub(crate) said: Arc<Mutex<Vec<Output>>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

pub(crate) fn serve(answer: fn(&[u8]) -> Vec<u8>) -> Serving {
    let mut keys = Keys::new();
    keys.insert(Identity::from(IDENTITY), key(KEY)).unwrap();
    keys.insert(Identity::from("sensor02"), key("another key of another length")).unwrap();
    let mut server = Server::new(keys, Limits::default(), now()).unwrap();
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    let said = Arc::new(Mutex::new(Vec::new()));
    let stop = Arc::new(AtomicBool::new(false));
    let (said_here, stop_here) = (Arc::clone(&said), Arc::clone(&stop));
    let thread = std::thread::spawn(move || {
        while !stop_here.load(Ordering::Relaxed) {
            if let Some((from, datagram)) = receive(&socket, server.next_deadline()) {
                server.receive(from, &datagram, now());
            }
            if server.next_deadline().is_some_and(|at| at <= now()) {
                server.timeout(now());
            }
            while let Some(output) = server.poll() {
                match &output {
                    Output::Send { address, bytes } => drop(socket.send_to(bytes, address).unwrap()),
                    Output::Plain { peer, bytes } => server.send(peer, &answer(bytes)).unwrap(),
                    _ => {}
                }
                if !matches!(output, Output::Send { .. }) {
                    said_here.lock().unwrap().push(output);
                }
            }
        }
    });
    Serving { address, said, stop, thread: Some(thread) }
}

impl Serving {
    pub(crate) fn said(&self) -> Vec<Output> {
        self.said.lock().unwrap().clone()
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // Its panic has been printed; a second one here would hide it.
            drop(thread.join());
        }
    }
}

/// The next datagram, if there is one before the deadline and within 50 ms.
fn receive(socket: &UdpSocket, deadline: Option<Instant>) -> Option<(SocketAddr, Vec<u8>)> {
    let most = Duration::from_millis(50);
    let wait = deadline.map_or(most, |at| at.saturating_duration_since(now()).min(most));
    socket.set_read_timeout(Some(wait.max(Duration::from_millis(1)))).unwrap();
    let mut buffer = [0; 4096];
    match socket.recv_from(&mut buffer) {
        Ok((length, from)) => Some((from, buffer[..length].to_vec())),
        // Refused: what came back from a port where nobody listens yet.
        Err(error)
            if matches!(
                error.kind(),
                ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::ConnectionRefused
            ) =>
        {
            None
        }
        Err(error) => panic!("the socket: {error}"),
    }
}

/// Runs a client against a server until `done` says of its outputs that it is enough; sends `greeting` once open.
pub(crate) fn converse(
    server: SocketAddr,
    identity: &str,
    secret: &str,
    greeting: &[u8],
    mut done: impl FnMut(&[Output]) -> bool,
) -> Vec<Output> {
    let credentials = Credentials::new(Identity::from(identity), key(secret)).unwrap();
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let mut client = Client::connect(server, &credentials, now());
    let mut said = Vec::new();
    let end = now() + 3 * PATIENCE;
    loop {
        while let Some(output) = client.poll() {
            match &output {
                Output::Send { address, bytes } => drop(socket.send_to(bytes, address)),
                Output::Opened { .. } => client.send(greeting).unwrap(),
                _ => {}
            }
            if !matches!(output, Output::Send { .. }) {
                said.push(output);
            }
        }
        if done(&said) {
            client.close();
            while let Some(output) = client.poll() {
                if let Output::Send { address, bytes } = output {
                    socket.send_to(&bytes, address).unwrap();
                }
            }
            return said;
        }
        assert!(now() < end, "nothing but {said:?}");
        if let Some((from, datagram)) = receive(&socket, client.next_deadline()) {
            client.receive(from, &datagram, now());
        }
        if client.next_deadline().is_some_and(|at| at <= now()) {
            client.timeout(now());
        }
    }
}

/// A program that runs until this is dropped; what it prints is kept.
pub(crate) struct Running {
    child: Child,
    printed: Arc<Mutex<Vec<u8>>>,
    readers: Vec<JoinHandle<()>>,
}

pub(crate) fn run(program: &str, arguments: &[&str]) -> Running {
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{program}: {error}; install openssl and libcoap3-bin"));
    let printed = Arc::new(Mutex::new(Vec::new()));
    let pipes: [Box<dyn std::io::Read + Send>; 2] =
        [Box::new(child.stdout.take().unwrap()), Box::new(child.stderr.take().unwrap())];
    let mut readers = Vec::new();
    for mut pipe in pipes {
        let printed = Arc::clone(&printed);
        readers.push(std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(length @ 1..) = pipe.read(&mut buffer) {
                printed.lock().unwrap().extend_from_slice(&buffer[..length]);
            }
        }));
    }
    Running { child, printed, readers }
}

impl Running {
    pub(crate) fn printed(&self) -> String {
        String::from_utf8_lossy(&self.printed.lock().unwrap()).into_owned()
    }

    pub(crate) fn type_in(&mut self, text: &str) {
        self.child.stdin.as_mut().unwrap().write_all(text.as_bytes()).unwrap();
    }

    pub(crate) fn end_input(&mut self) {
        drop(self.child.stdin.take());
    }

    /// Waits until it has printed `text`.
    pub(crate) fn until_printed(&self, text: &str) {
        until(|| self.printed().contains(text), || format!("no {text:?} in {}", self.printed()));
    }

    /// Waits until it ends by itself and all that it has printed is here.
    pub(crate) fn until_ended(&mut self) {
        let end = now() + PATIENCE;
        while self.child.try_wait().unwrap().is_none() {
            assert!(now() < end, "it does not end: {}", self.printed());
            std::thread::park_timeout(Duration::from_millis(10));
        }
        for reader in self.readers.drain(..) {
            reader.join().unwrap();
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
