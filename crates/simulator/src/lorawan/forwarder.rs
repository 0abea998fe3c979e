//! A site on a real UDP socket, as a task of its own.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use gateway_core::ports::Clock;
use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until, timeout};

use super::semtech::{self, Received};
use super::site::{Now, Output, Site, SiteEvent, Task};

/// Longer than any datagram of the protocol.
const DATAGRAM: usize = 4_096;
const ASK_AGAIN: Duration = Duration::from_secs(1);

/// A socket on any free port, for this gateway alone.
pub(super) async fn open(gateway: SocketAddr) -> io::Result<UdpSocket> {
    let any = match gateway {
        SocketAddr::V4(_) => SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
        SocketAddr::V6(_) => SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)),
    };
    let socket = UdpSocket::bind(any).await?;
    socket.connect(gateway).await?;
    Ok(socket)
}

/// Asks until the gateway answers.
pub(super) async fn probe(socket: &UdpSocket, eui: u64) {
    let mut buffer = [0; DATAGRAM];
    loop {
        // Errors for a single datagram, mostly that its port is closed, are repaired by sending again.
        let _ = socket.send(&semtech::pull_data(0, eui)).await;
        let answered = async {
            loop {
                if let Ok(length) = socket.recv(&mut buffer).await
                    && let Some(Received::PullAck(_)) = buffer.get(..length).and_then(semtech::read)
                {
                    return;
                }
            }
        };
        if timeout(ASK_AGAIN, answered).await.is_ok() {
            return;
        }
    }
}

pub(super) struct Forwarder {
    /// Of its nodes' places in the building.
    pub(super) first: usize,
    pub(super) site: Site,
    pub(super) socket: UdpSocket,
    pub(super) tasks: mpsc::Receiver<Task>,
    /// With the node's place in the building.
    pub(super) events: mpsc::Sender<(usize, SiteEvent)>,
    pub(super) clock: Arc<dyn Clock>,
}

impl Forwarder {
    /// Until no more tasks come and those that came are done.
    pub(super) async fn run(mut self) {
        let mut buffer = [0; DATAGRAM];
        let mut open = true;
        while self.flush().await && (open || !self.site.is_idle()) {
            let deadline = Instant::from_std(self.site.next_deadline());
            tokio::select! {
                task = self.tasks.recv(), if open => match task {
                    Some(task) => {
                        let now = self.now();
                        self.site.take(task, now);
                    }
                    None => open = false,
                },
                received = self.socket.recv(&mut buffer) => {
                    let now = self.now();
                    // As in `greet`.
                    if let Some(datagram) = received.ok().and_then(|length| buffer.get(..length)) {
                        self.site.receive(datagram, now);
                    }
                }
                () = sleep_until(deadline) => {
                    let now = self.now();
                    self.site.timeout(now);
                }
            }
        }
    }

    fn now(&self) -> Now {
        Now { instant: Instant::now().into_std(), wall: self.clock.now() }
    }

    /// Sends all outputs; returns false if the receiver of events is gone.
    async fn flush(&mut self) -> bool {
        while let Some(output) = self.site.poll() {
            match output {
                Output::Send(datagram) => drop(self.socket.send(&datagram).await),
                Output::Event(node, event) => {
                    if self.events.send((self.first + node, event)).await.is_err() {
                        return false;
                    }
                }
            }
        }
        true
    }
}
