//! Measures a CoAP server, ours or another: as many round trips as it answers, from clients with one exchange at a time.
//!
//! - `load post ADDRESS:PORT PATH CLIENTS SECONDS`: each client sends a CON POST of a climate sensor's JSON, and the next
//!   when the answer is there. `put` in place of `post` does the same with PUT.
//! - `load observe ADDRESS:PORT PATH CLIENTS SECONDS`: each client observes and acknowledges what needs it; tells how many
//!   notifications came, and of each value how long it took from the first client that received it to the last.
//!
//! The messages are made by hand and cost next to nothing, so that what is measured is the server.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::net::UdpSocket;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

const PAYLOAD: &[u8] = br#"{"temperature":21.37,"humidity":44.1,"co2":612}"#;
/// After this long without an answer it is asked again, and counted.
const PATIENCE: Duration = Duration::from_secs(2);
const GET: u8 = 1;
const ACK: u8 = 0x60;
/// Stands before the payload.
const MARKER: u8 = 0xff;
/// Values that are on their way to the observers at a time.
const VALUES: usize = 16;

#[derive(Default)]
struct Counts {
    answers: AtomicU64,
    refused: AtomicU64,
    again: AtomicU64,
    spread: Mutex<Spread>,
}

/// The last values that observers were told, when the first was, and how many since.
#[derive(Default)]
struct Spread(VecDeque<(Vec<u8>, Instant, u32)>);

impl Spread {
    /// How long the value took, if this was the last of the `clients` to hear of it.
    fn record(&mut self, value: &[u8], clients: u32) -> Option<Duration> {
        let now = Instant::now();
        if !self.0.iter().any(|(other, ..)| other == value) {
            self.0.push_back((value.to_vec(), now, 0));
            if self.0.len() > VALUES {
                self.0.pop_front();
            }
        }
        let (_, first, received) = self.0.iter_mut().rfind(|(other, ..)| other == value)?;
        *received += 1;
        (*received == clients).then(|| now.duration_since(*first))
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [what, address, path, clients, seconds] = &arguments[..] else {
        return Err("usage: load post|put|observe ADDRESS:PORT PATH CLIENTS SECONDS".into());
    };
    let address: SocketAddr = address.parse()?;
    let code = match what.as_str() {
        "observe" => GET,
        "post" => 2,
        "put" => 3,
        other => return Err(format!("no {other}").into()),
    };
    let clients: u32 = clients.parse()?;
    let duration = Duration::from_secs_f64(seconds.parse()?);
    let counts = Arc::new(Counts::default());
    let mut sockets = Vec::new();
    for client in 0..clients {
        let socket = socket(address).await?;
        if code == GET {
            register(&socket, &message(GET, client, path), &counts).await?;
        }
        sockets.push(socket);
    }
    say("ready");
    let began = Instant::now();
    let mut running = JoinSet::new();
    for (client, socket) in (0..clients).zip(sockets) {
        let (counts, message) = (Arc::clone(&counts), message(code, client, path));
        let talk = async move {
            if code == GET {
                listen(socket, clients, &counts).await
            } else {
                ask(socket, message, &counts).await
            }
        };
        running.spawn(timeout(duration, talk));
    }
    while running.join_next().await.is_some() {}
    let count = |what: &AtomicU64| what.load(Ordering::Relaxed);
    let rate = precise(count(&counts.answers)) / began.elapsed().as_secs_f64();
    say(&format!(
        "{} answers, {rate:.0} a second; {} refused, {} asked again",
        count(&counts.answers),
        count(&counts.refused),
        count(&counts.again)
    ));
    Ok(())
}

async fn socket(server: SocketAddr) -> io::Result<UdpSocket> {
    let any = if server.is_ipv6() { "[::]:0" } else { "0.0.0.0:0" };
    let socket = UdpSocket::bind(any).await?;
    socket.connect(server).await?;
    Ok(socket)
}

/// A CON with the client's number as its token.
fn message(code: u8, client: u32, path: &str) -> Vec<u8> {
    let mut message = vec![0x44, code, 0, 0];
    message.extend(client.to_be_bytes());
    let mut last = 0;
    if code == GET {
        option(&mut message, &mut last, 6, &[]);
    }
    for segment in path.trim_matches('/').split('/') {
        option(&mut message, &mut last, 11, segment.as_bytes());
    }
    if code != GET {
        option(&mut message, &mut last, 12, &[50]);
        message.push(MARKER);
        message.extend(PAYLOAD);
    }
    message
}

/// An option of fewer than 269 bytes whose number is less than 13 above the last one's.
fn option(message: &mut Vec<u8>, last: &mut u8, number: u8, value: &[u8]) {
    let delta = (number - *last) << 4;
    *last = number;
    match u8::try_from(value.len()) {
        Ok(length @ 0..13) => message.push(delta | length),
        Ok(length) => message.extend([delta | 13, length - 13]),
        Err(_) => message.extend([delta | 13, u8::MAX]),
    }
    message.extend(value);
}

async fn register(socket: &UdpSocket, message: &[u8], counts: &Counts) -> io::Result<()> {
    let mut buffer = [0; 2048];
    loop {
        socket.send(message).await?;
        match timeout(PATIENCE, socket.recv(&mut buffer)).await {
            Ok(received) => return received.map(drop),
            Err(_) => counts.again.fetch_add(1, Ordering::Relaxed),
        };
    }
}

async fn ask(socket: UdpSocket, mut message: Vec<u8>, counts: &Counts) -> io::Result<()> {
    let mut buffer = [0; 2048];
    for id in (0..=u16::MAX).cycle() {
        if let Some(place) = message.get_mut(2..4) {
            place.copy_from_slice(&id.to_be_bytes());
        }
        socket.send(&message).await?;
        loop {
            let Ok(length) = timeout(PATIENCE, socket.recv(&mut buffer)).await else {
                counts.again.fetch_add(1, Ordering::Relaxed);
                socket.send(&message).await?;
                continue;
            };
            let answer = buffer.get(..length?).unwrap_or_default();
            // A notification, or an answer to an older message.
            if answer.get(2..4) != message.get(2..4) {
                continue;
            }
            let fine = answer.get(1).is_some_and(|code| code >> 5 == 2);
            let counter = if fine { &counts.answers } else { &counts.refused };
            counter.fetch_add(1, Ordering::Relaxed);
            break;
        }
    }
    Ok(())
}

async fn listen(socket: UdpSocket, clients: u32, counts: &Counts) -> io::Result<()> {
    let mut buffer = [0; 2048];
    loop {
        let length = socket.recv(&mut buffer).await?;
        let message = buffer.get(..length).unwrap_or_default();
        let [first, _, high, low, rest @ ..] = message else { continue };
        // The values are texts, without the marker's byte.
        let value = rest.rsplit(|byte| *byte == MARKER).next().unwrap_or_default();
        let spread = counts.spread.lock().ok().and_then(|mut spread| spread.record(value, clients));
        if let Some(spread) = spread {
            say(&format!("a value reached all within {} us", spread.as_micros()));
        }
        counts.answers.fetch_add(1, Ordering::Relaxed);
        if first >> 4 & 0b11 == 0 {
            socket.send(&[ACK, 0, *high, *low]).await?;
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "a count of answers")]
const fn precise(count: u64) -> f64 {
    count as f64
}

#[expect(clippy::print_stdout, reason = "an example has a person in front of it")]
fn say(line: &str) {
    println!("{line}");
}
