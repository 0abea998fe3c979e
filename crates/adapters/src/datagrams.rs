//! A UDP listener of an adapter: waits for its port while another program uses it, and drops datagrams that the network does
//! not accept in time.

use std::future::pending;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use gateway_core::{AdapterId, Backoff};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::UdpSocket;
use tokio::time::{Instant, sleep_until, timeout};
use tracing::{info, warn};

/// Pauses between two attempts to bind.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// How long a datagram waits for space in the socket's buffer; then it is dropped.
const SEND_TIMEOUT: Duration = Duration::from_millis(100);
/// How long no datagram waits after that, so that a jammed link does not block everything.
const JAMMED_PAUSE: Duration = Duration::from_secs(1);

/// Received datagrams.
#[derive(Debug, Default)]
pub(crate) struct Inbox {
    bytes: Vec<u8>,
    /// Sender, length, and whether it was sent to a multicast group.
    arrived: Vec<(SocketAddr, usize, bool)>,
}

impl Inbox {
    /// Passes all datagrams to `take` and removes them.
    pub(crate) fn drain(&mut self, mut take: impl FnMut(SocketAddr, &[u8], bool)) {
        let mut rest = &*self.bytes;
        for (from, length, multicast) in self.arrived.drain(..) {
            let (datagram, others) = rest.split_at_checked(length).unwrap_or((rest, &[]));
            take(from, datagram, multicast);
            rest = others;
        }
        self.bytes.clear();
    }
}

/// The socket of a listener.
pub(crate) trait DatagramSocket: Sized + Send {
    /// Waits for datagrams and passes some to `take`: sender, bytes, and whether they were sent to a multicast
    /// group. Cancel safe.
    fn receive(
        &mut self,
        take: impl FnMut(SocketAddr, &[u8], bool) + Send,
    ) -> impl Future<Output = io::Result<()>> + Send;

    /// Sends a datagram if the socket's buffer has space; otherwise the error is [`io::ErrorKind::WouldBlock`].
    fn try_send(&self, to: SocketAddr, datagram: &[u8]) -> io::Result<()>;

    /// Waits until the buffer has space.
    fn writable(&self) -> impl Future<Output = io::Result<()>> + Send;
}

/// Datagrams read from a socket at once.
const BATCH: usize = 64;
/// The longest datagram.
const MAX_DATAGRAM_BYTES: usize = 65_535;
/// The socket's buffer: the most that Linux gives without privileges.
const RECEIVE_BUFFER_BYTES: usize = 1 << 20;

/// A unicast socket.
#[derive(Debug)]
pub(crate) struct UnicastSocket {
    socket: UdpSocket,
    buffer: Box<[u8]>,
}

impl UnicastSocket {
    /// Binds to `address`. `[::]` includes IPv4 if that is the system's default.
    pub(crate) fn bind(_adapter: &AdapterId, address: SocketAddr) -> io::Result<Self> {
        let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
        socket.set_nonblocking(true)?;
        socket.bind(&address.into())?;
        // Best effort: a small buffer loses datagrams in a burst.
        let _ = socket.set_recv_buffer_size(RECEIVE_BUFFER_BYTES);
        let _ = socket.set_send_buffer_size(RECEIVE_BUFFER_BYTES);
        let socket = UdpSocket::from_std(socket.into())?;
        Ok(Self { socket, buffer: vec![0; MAX_DATAGRAM_BYTES].into_boxed_slice() })
    }
}

impl DatagramSocket for UnicastSocket {
    async fn receive(&mut self, mut take: impl FnMut(SocketAddr, &[u8], bool) + Send) -> io::Result<()> {
        self.socket.readable().await?;
        for _ in 0..BATCH {
            match self.socket.try_recv_from(&mut self.buffer) {
                Ok((length, from)) => take(from, self.buffer.get(..length).unwrap_or_default(), false),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn try_send(&self, to: SocketAddr, datagram: &[u8]) -> io::Result<()> {
        self.socket.try_send_to(datagram, to).map(|_| ())
    }

    async fn writable(&self) -> io::Result<()> {
        self.socket.writable().await
    }
}

/// How a socket is bound.
type Bind<S> = fn(&AdapterId, SocketAddr) -> io::Result<S>;

/// A socket that is bound, or that is bound as soon as its port is free.
#[derive(Debug)]
pub(crate) struct UdpListener<S> {
    adapter: AdapterId,
    address: SocketAddr,
    bind: Bind<S>,
    state: ListenerState<S>,
    backoff: Backoff,
    jammed_until: Instant,
    pub(crate) unsent: u64,
}

#[derive(Debug)]
enum ListenerState<S> {
    Open(Box<S>),
    Closed { why: String, again_at: Instant },
}

impl<S: DatagramSocket> UdpListener<S> {
    /// Tries to bind; if that fails, tries again later.
    pub(crate) fn open(adapter: &AdapterId, address: SocketAddr, bind: Bind<S>) -> Self {
        let now = Instant::now();
        let state = ListenerState::Closed { why: String::new(), again_at: now };
        let backoff = Backoff::new(FIRST_PAUSE, LONGEST_PAUSE);
        let mut listener =
            Self { adapter: adapter.clone(), address, bind, state, backoff, jammed_until: now, unsent: 0 };
        listener.bind();
        listener
    }

    /// The error, if it is closed.
    pub(crate) fn problem(&self) -> Option<&str> {
        match &self.state {
            ListenerState::Open(_) => None,
            ListenerState::Closed { why, .. } => Some(why),
        }
    }

    fn bind(&mut self) {
        match (self.bind)(&self.adapter, self.address) {
            Ok(socket) => {
                self.backoff.reset();
                info!(adapter = %self.adapter, "{}: listens on {}", self.adapter.kind(), self.address);
                self.state = ListenerState::Open(Box::new(socket));
            }
            Err(error) => self.close(&error),
        }
    }

    fn close(&mut self, error: &io::Error) {
        let pause = self.backoff.next_wait(rand::random());
        let why = match error.kind() {
            io::ErrorKind::AddrInUse => format!("{} is taken by another program", self.address),
            _ => format!("cannot listen on {}: {error}", self.address),
        };
        if self.problem() != Some(&*why) {
            warn!(adapter = %self.adapter, "{}: {why}; tried again until it works", self.adapter.kind());
        }
        self.state = ListenerState::Closed { why, again_at: Instant::now() + pause };
    }

    /// Waits for datagrams; also returns when the socket was opened or closed. Cancel safe.
    pub(crate) async fn serve(&mut self, inbox: &mut Inbox) {
        match &mut self.state {
            ListenerState::Open(socket) => {
                let received = socket
                    .receive(|from, datagram, multicast| {
                        inbox.bytes.extend_from_slice(datagram);
                        inbox.arrived.push((from, datagram.len(), multicast));
                    })
                    .await;
                if let Err(error) = received {
                    self.close(&error);
                }
            }
            ListenerState::Closed { again_at, .. } => {
                sleep_until(*again_at).await;
                self.bind();
            }
        }
    }

    /// Sends a datagram or drops it; returns whether it was sent.
    pub(crate) async fn send(&mut self, to: SocketAddr, datagram: &[u8]) -> bool {
        let ListenerState::Open(socket) = &self.state else {
            self.unsent = self.unsent.saturating_add(1);
            return false;
        };
        let mut sent = socket.try_send(to, datagram);
        let full = sent.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock);
        if full && Instant::now() >= self.jammed_until {
            match timeout(SEND_TIMEOUT, socket.writable()).await {
                Ok(_) => sent = socket.try_send(to, datagram),
                Err(_) => self.jammed_until = Instant::now() + JAMMED_PAUSE,
            }
        }
        if sent.is_err() {
            self.unsent = self.unsent.saturating_add(1);
        }
        sent.is_ok()
    }
}

/// [`UdpListener::serve`]; without a listener it never returns.
pub(crate) async fn serve<S: DatagramSocket>(listener: &mut Option<UdpListener<S>>, inbox: &mut Inbox) {
    match listener {
        Some(listener) => listener.serve(inbox).await,
        None => pending().await,
    }
}
