//! The adapter on pseudo-terminals.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use gateway_core::ports::{Adapter as _, AdapterContext, AdapterState};
use gateway_core::{AdapterHealth, AdapterId, CodecId, Condition, DropReason, Timestamp, Uplink};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use testkit::clock::ManualClock;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::{SerialAdapter, Settings};
use crate::lines::{LineFormat, LineSource};

/// A serial cable: the gateway opens `path`, the test has the other end. Dropping it unplugs the cable.
pub(super) struct Pty {
    end: File,
    pub(super) path: PathBuf,
}

impl Pty {
    pub(super) fn new() -> Self {
        let end: OwnedFd = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&end).unwrap();
        unlockpt(&end).unwrap();
        let path = ptsname(&end, Vec::new()).unwrap().into_string().unwrap().into();
        Self { end: end.into(), path }
    }

    pub(super) fn write(&self, bytes: &[u8]) {
        (&self.end).write_all(bytes).unwrap();
    }

    pub(super) fn read(&self, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        (&self.end).read_exact(&mut bytes).unwrap();
        bytes
    }
}

/// An adapter that runs.
struct Fixture {
    uplinks: mpsc::Receiver<Vec<Uplink>>,
    health: watch::Receiver<AdapterHealth>,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

const LONG: Duration = Duration::from_secs(20);

impl Fixture {
    fn start(port: &Path) -> Self {
        let adapter = AdapterId::new("serial", "meter");
        let lines = LineSource { adapter, format: LineFormat::Value, codec: CodecId(3), max_line: 16 };
        let settings = Settings { port: port.to_owned(), baud: 9_600, lines, device: "meter".to_owned() };
        let (sender, uplinks) = mpsc::channel(8);
        let (_, commands) = mpsc::channel(1);
        let clock = Arc::new(ManualClock::new(Timestamp::EPOCH));
        let condition = Condition::new(clock.clone());
        let (health, stop) = (condition.watch(), CancellationToken::new());
        let mut context = AdapterContext { uplinks: sender, commands, condition, clock, stop: stop.clone() };
        let task = tokio::spawn(async move { SerialAdapter::new(settings).run(&mut context).await.unwrap() });
        Self { uplinks, health, stop, task }
    }

    async fn wait_up(&mut self) {
        let up = self.health.wait_for(|health| health.state == AdapterState::Up);
        timeout(LONG, up).await.unwrap().unwrap();
    }

    /// Waits until it is down, and says why.
    async fn wait_down(&mut self) -> String {
        let down = self.health.wait_for(|health| matches!(health.state, AdapterState::Down { .. }));
        let health = timeout(LONG, down).await.unwrap().unwrap();
        let AdapterState::Down { reason } = &health.state else { unreachable!() };
        reason.clone()
    }

    async fn next(&mut self) -> Vec<Uplink> {
        timeout(LONG, self.uplinks.recv()).await.unwrap().unwrap()
    }

    async fn stop(self) {
        self.stop.cancel();
        timeout(LONG, self.task).await.unwrap().unwrap();
    }
}

fn payload(batch: &[Uplink]) -> &[u8] {
    &batch[0].payload
}

#[tokio::test]
async fn a_line_is_a_reading_of_the_ports_device_even_in_pieces() {
    let pty = Pty::new();
    let mut adapter = Fixture::start(&pty.path);
    adapter.wait_up().await;
    pty.write(b"21");
    tokio::task::yield_now().await;
    pty.write(b".5\r\n");
    let batch = adapter.next().await;
    assert_eq!(payload(&batch), b"21.5");
    assert_eq!(batch[0].device.as_ref().unwrap().as_str(), "meter");
    adapter.stop().await;
}

#[tokio::test]
async fn a_cable_that_is_pulled_and_put_back_works_again_and_half_a_line_is_not_joined_to_the_next() {
    let folder = tempfile::tempdir().unwrap();
    let port = folder.path().join("ttyUSB0");
    let mut adapter = Fixture::start(&port);
    assert!(adapter.wait_down().await.contains("is not there"));

    let pty = Pty::new();
    symlink(&pty.path, &port).unwrap();
    adapter.wait_up().await;
    pty.write(b"21.5\n2");
    assert_eq!(payload(&adapter.next().await), b"21.5");

    std::fs::remove_file(&port).unwrap();
    drop(pty);
    let refused = adapter.next().await;
    assert_eq!(refused[0].refused, [(DropReason::BadPayload, 1)], "the half line is counted");
    adapter.wait_down().await;

    let pty = Pty::new();
    symlink(&pty.path, &port).unwrap();
    pty.write(b"7\n");
    adapter.wait_up().await;
    assert_eq!(payload(&adapter.next().await), b"7", "not 27");
    adapter.stop().await;
}

#[tokio::test]
async fn a_wrong_baud_rate_is_reported_after_a_while_until_a_readable_line() {
    let pty = Pty::new();
    let mut adapter = Fixture::start(&pty.path);
    adapter.wait_up().await;
    pty.write(b"\xf8\x00\x80\xfe\xf8\x00\x80\xfe\xf8\x00\x80\xfe\xf8\x00\x80\xfe\n");
    assert_eq!(adapter.next().await[0].refused, [(DropReason::BadPayload, 1)]);
    let reason = adapter.wait_down().await;
    assert!(reason.contains("check `baud`, which is 9600"), "{reason}");
    pty.write(b"21.5\n");
    adapter.wait_up().await;
    adapter.stop().await;
}
