//! The adapter on real sockets. 127.0.0.1 and 127.0.0.2 are two peers.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use gateway_core::ports::{Adapter as _, AdapterContext, AdapterState};
use gateway_core::{AdapterHealth, AdapterId, CodecId, Condition, DropReason, Timestamp, Uplink};
use testkit::clock::ManualClock;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::{Settings, TcpAdapter};
use crate::lines::{LineFormat, LineSource};

const LONG: Duration = Duration::from_secs(20);

fn settings() -> Settings {
    let adapter = AdapterId::new("tcp", "hall");
    Settings {
        listen: free_address(),
        lines: LineSource { adapter, format: LineFormat::Value, codec: CodecId(3), max_line: 16 },
        max_connections: 3,
        idle: LONG,
        max_rate: 1_000_000,
    }
}

fn free_address() -> SocketAddr {
    std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap()
}

/// An adapter that runs.
struct Fixture {
    listen: SocketAddr,
    uplinks: mpsc::Receiver<Vec<Uplink>>,
    health: watch::Receiver<AdapterHealth>,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Fixture {
    fn start(settings: Settings) -> Self {
        let (sender, uplinks) = mpsc::channel(8);
        let (_, commands) = mpsc::channel(1);
        let clock = Arc::new(ManualClock::new(Timestamp::EPOCH));
        let condition = Condition::new(clock.clone());
        let (health, stop, listen) = (condition.watch(), CancellationToken::new(), settings.listen);
        let mut context = AdapterContext { uplinks: sender, commands, condition, clock, stop: stop.clone() };
        let task = tokio::spawn(async move { TcpAdapter::new(settings).run(&mut context).await.unwrap() });
        Self { listen, uplinks, health, stop, task }
    }

    async fn up(settings: Settings) -> Self {
        let mut adapter = Self::start(settings);
        adapter.wait_up().await;
        adapter
    }

    async fn wait_up(&mut self) {
        let up = self.health.wait_for(|health| health.state == AdapterState::Up);
        timeout(LONG, up).await.unwrap().unwrap();
    }

    /// A connection from 127.0.0.`last`.
    async fn connect(&self, last: u8) -> TcpStream {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind((Ipv4Addr::new(127, 0, 0, last), 0).into()).unwrap();
        socket.connect(self.listen).await.unwrap()
    }

    async fn next(&mut self) -> Vec<Uplink> {
        timeout(LONG, self.uplinks.recv()).await.unwrap().unwrap()
    }

    /// The device and payload of the next line.
    async fn line(&mut self) -> (String, String) {
        let batch = self.next().await;
        let [uplink] = &*batch else { panic!("{batch:?}") };
        assert_eq!(uplink.refused, []);
        let device = uplink.device.as_ref().unwrap().to_string();
        (device, String::from_utf8(uplink.payload.to_vec()).unwrap())
    }

    async fn stop(self) {
        self.stop.cancel();
        timeout(LONG, self.task).await.unwrap().unwrap();
    }
}

fn line(device: &str, payload: &str) -> (String, String) {
    (device.to_owned(), payload.to_owned())
}

/// Waits until the gateway has closed the connection.
async fn closed(stream: &mut TcpStream) {
    let read = timeout(LONG, stream.read(&mut [0; 8])).await.unwrap();
    assert!(matches!(read, Ok(0) | Err(_)), "{read:?}");
}

#[tokio::test]
async fn a_line_is_of_its_peers_address_and_one_that_breaks_off_is_counted() {
    let mut adapter = Fixture::up(settings()).await;
    let mut one = adapter.connect(1).await;
    let mut two = adapter.connect(2).await;
    one.write_all(b"21").await.unwrap();
    two.write_all(b"7\r\n").await.unwrap();
    assert_eq!(adapter.line().await, line("127.0.0.2", "7"));
    one.write_all(b".5\n2").await.unwrap();
    assert_eq!(adapter.line().await, line("127.0.0.1", "21.5"));
    // Half-closed: it sends no more, and would still read.
    one.shutdown().await.unwrap();
    assert_eq!(adapter.next().await[0].refused, [(DropReason::BadPayload, 1)]);
    closed(&mut one).await;
    two.write_all(b"8\n").await.unwrap();
    assert_eq!(adapter.line().await, line("127.0.0.2", "8"));
    adapter.stop().await;
    closed(&mut two).await;
}

#[tokio::test]
async fn bytes_without_a_line_end_do_not_keep_a_connection_open() {
    let mut adapter = Fixture::up(Settings { idle: Duration::from_secs(1), ..settings() }).await;
    let mut peer = adapter.connect(1).await;
    let begun = tokio::time::Instant::now();
    peer.write_all(&[b'x'; 20]).await.unwrap();
    assert_eq!(adapter.next().await[0].refused, [(DropReason::TooLarge, 1)]);
    let dripping = async {
        while peer.write_all(b"x").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(LONG, dripping).await.unwrap();
    assert!(begun.elapsed() >= Duration::from_secs(1));
    assert!(adapter.uplinks.try_recv().is_err(), "the long line was reported once");
    adapter.stop().await;
}

#[tokio::test]
async fn one_connection_too_many_is_closed_and_an_address_gives_way_to_another() {
    let mut adapter = Fixture::up(settings()).await;
    let mut mine = Vec::new();
    for number in ["1", "2", "3"] {
        let mut stream = adapter.connect(1).await;
        stream.write_all(format!("{number}\n").as_bytes()).await.unwrap();
        assert_eq!(adapter.line().await, line("127.0.0.1", number));
        mine.push(stream);
    }
    closed(&mut adapter.connect(1).await).await;
    let mut other = adapter.connect(2).await;
    other.write_all(b"4\n").await.unwrap();
    assert_eq!(adapter.line().await, line("127.0.0.2", "4"));
    closed(&mut mine.pop().unwrap()).await;
    for (stream, number) in mine.iter_mut().zip(["5", "6"]) {
        stream.write_all(format!("{number}\n").as_bytes()).await.unwrap();
        assert_eq!(adapter.line().await, line("127.0.0.1", number));
    }
    adapter.stop().await;
}

#[tokio::test]
async fn a_slow_pipeline_slows_the_peer_down_and_loses_nothing() {
    let mut settings = settings();
    settings.lines.max_line = 1_000;
    let mut adapter = Fixture::up(settings).await;
    let mut peer = adapter.connect(1).await;
    // More than the sockets' buffers take.
    let lines: u64 = 20_000;
    let line = format!("{:<1000}\n", 7);
    let mut sending = tokio::spawn(async move {
        for _ in 0..lines {
            peer.write_all(line.as_bytes()).await.unwrap();
        }
    });
    let held_back = timeout(Duration::from_secs(2), &mut sending).await;
    assert!(held_back.is_err(), "20 MB went into a pipeline that takes nothing");
    let mut taken = 0;
    while taken < lines {
        taken += u64::try_from(adapter.next().await.len()).unwrap();
    }
    assert_eq!(taken, lines);
    sending.await.unwrap();
    adapter.stop().await;
}

#[tokio::test]
async fn a_flood_is_slowed_down_and_other_peers_are_served() {
    let mut adapter = Fixture::up(Settings { max_rate: 1_000, ..settings() }).await;
    let mut flood = adapter.connect(1).await;
    let flooding = tokio::spawn(async move { while flood.write_all(&b"1\n".repeat(1_000)).await.is_ok() {} });
    let begun = tokio::time::Instant::now();
    let mut quiet = adapter.connect(2).await;
    let (mut of_flood, mut of_quiet) = (0_u32, 0);
    while of_quiet < 5 {
        quiet.write_all(b"2\n").await.unwrap();
        loop {
            let batch = adapter.next().await;
            if batch[0].device.as_ref().unwrap().as_str() == "127.0.0.2" {
                of_quiet += 1;
                break;
            }
            of_flood += u32::try_from(batch.len()).unwrap();
        }
    }
    // A chunk of 2,048 lines may be ahead of the rate, and what waits in the channel.
    let allowed = 1_000.0 * begun.elapsed().as_secs_f64() + 5_000.0;
    assert!(f64::from(of_flood) <= allowed, "{of_flood} lines, not {allowed}");
    adapter.stop().await;
    flooding.await.unwrap();
}

#[tokio::test]
async fn a_port_that_is_taken_is_named_and_used_once_it_is_free() {
    let settings = settings();
    let taken = std::net::TcpListener::bind(settings.listen).unwrap();
    let mut adapter = Fixture::start(settings);
    let down = adapter.health.wait_for(|health| matches!(health.state, AdapterState::Down { .. }));
    let reason = format!("{:?}", timeout(LONG, down).await.unwrap().unwrap().state);
    assert!(reason.contains("is taken by another program"), "{reason}");
    drop(taken);
    adapter.wait_up().await;
    adapter.stop().await;
}
