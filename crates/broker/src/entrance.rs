//! From a new connection to a client of the engine: handshake, CONNECT, password, each under a time limit and a bound.

use std::future::poll_fn;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use broker_engine::packet::{Connect, FixedHeader, Frame, Version, decode_connect, split_frame};
use broker_engine::reason::Reason;
use broker_engine::{ConnectionKey, Peer, refused};
use credentials::CurrentCertificate;
use gateway_core::Throttle;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UnixListener};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, warn};

use crate::auth::{Auth, Refusal};
use crate::hub::Hub;
use crate::link::Link;
use crate::rate::ConnectRate;
use crate::receive_memory::{Holding, Part, ReceiveShare};
use crate::transport::accept_websocket;
use crate::{LOG_PERIOD, tls};

/// After a failed accept, which mostly means that the process has no file descriptors left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);
/// The largest CONNECT: a will's payload, five texts and properties fit.
const CONNECT_BYTES: usize = 256 << 10;

/// What a connection may gather of its CONNECT without a share of `max_connect_memory`.
const SMALL_CONNECT: usize = 1 << 10;

/// How bytes become MQTT.
#[derive(Clone)]
pub(crate) enum Transport {
    Plain,
    WebSocket,
    Tls(Arc<CurrentCertificate>),
    TlsWebSocket(Arc<CurrentCertificate>),
}

/// What all listeners share.
pub(crate) struct Entrance {
    pub(crate) hub: Arc<Hub>,
    pub(crate) auth: Arc<Auth>,
    /// One permit per connection.
    pub(crate) permits: Arc<Semaphore>,
    pub(crate) rate: ConnectRate,
    pub(crate) connect_timeout: Duration,
    pub(crate) connections: TaskTracker,
    /// Ends accepting.
    pub(crate) stop: CancellationToken,
    /// Cuts all connections.
    pub(crate) cut: CancellationToken,
    pub(crate) refusals: Refusals,
}

/// Limits the log lines that outsiders can cause.
#[derive(Debug)]
pub(crate) struct Refusals {
    full: Throttle,
    rate: Throttle,
    memory: Throttle,
    login: Throttle,
}

/// A connection before its login.
struct Arrival {
    peer: SocketAddr,
    permit: OwnedSemaphorePermit,
    share: Arc<ReceiveShare>,
}

impl Default for Refusals {
    fn default() -> Self {
        let throttle = || Throttle::new(LOG_PERIOD);
        Self { full: throttle(), rate: throttle(), memory: throttle(), login: throttle() }
    }
}

impl Entrance {
    /// Accepts until stopped. Above a limit a connection is closed at once and the client tries again, so that no client
    /// waits in a queue that a hostile client has filled.
    pub(crate) async fn run(self: Arc<Self>, listener: TcpListener, transport: Transport) {
        while let Some(accepted) = self.stop.run_until_cancelled(listener.accept()).await {
            match accepted {
                Ok((stream, peer)) => self.accept(stream, peer, &transport),
                Err(error) => self.accept_failed(&error).await,
            }
        }
    }

    /// As [`Self::run`], on a Unix socket.
    pub(crate) async fn run_unix(self: Arc<Self>, listener: UnixListener) {
        while let Some(accepted) = self.stop.run_until_cancelled(listener.accept()).await {
            match accepted {
                Ok((stream, _)) => {
                    let local = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
                    let Some(arrival) = self.arrival(local) else { continue };
                    let this = Arc::clone(&self);
                    let cut = self.cut.clone();
                    self.connections.spawn(cut.run_until_cancelled_owned(async move {
                        this.enter(stream, arrival, None).await;
                    }));
                }
                Err(error) => self.accept_failed(&error).await,
            }
        }
    }

    async fn accept_failed(&self, error: &io::Error) {
        warn!(%error, "broker: cannot accept a connection");
        tokio::time::sleep(ACCEPT_PAUSE).await;
    }

    fn arrival(&self, peer: SocketAddr) -> Option<Arrival> {
        let permit = Arc::clone(&self.permits).try_acquire_owned().ok();
        if permit.is_none()
            && let Some(left_out) = self.refusals.full.allow(Instant::now().into_std())
        {
            warn!(%peer, left_out, "broker: refused a connection: max_clients are connected");
        }
        let share = self.hub.receive_memory.share(peer.ip());
        permit.map(|permit| Arrival { peer, permit, share })
    }

    fn accept(self: &Arc<Self>, stream: TcpStream, peer: SocketAddr, transport: &Transport) {
        let now = Instant::now();
        if !self.rate.allow(peer.ip(), now) {
            if let Some(left_out) = self.refusals.rate.allow(now.into_std()) {
                warn!(%peer, left_out, "broker: refused a connection: this address connects too often (max_connects_per_second)");
            }
            return;
        }
        let Some(arrival) = self.arrival(peer) else { return };
        // Only delays small packets.
        let _ = stream.set_nodelay(true);
        let (this, transport) = (Arc::clone(self), transport.clone());
        self.connections.spawn(async move {
            let cut = this.cut.clone();
            cut.run_until_cancelled(this.shake_hands(stream, arrival, transport)).await;
        });
    }

    async fn shake_hands(self: Arc<Self>, stream: TcpStream, arrival: Arrival, transport: Transport) {
        let limit = self.connect_timeout;
        let largest = self.hub.packet_bytes;
        let (peer, share) = (arrival.peer, Arc::clone(&arrival.share));
        match transport {
            Transport::Plain => self.enter(stream, arrival, None).await,
            Transport::WebSocket => match timeout(limit, accept_websocket(stream, largest, share)).await {
                Ok(Ok(stream)) => self.enter(stream, arrival, None).await,
                failed => log_failure(peer, failed.err().is_some()),
            },
            Transport::Tls(current) => {
                match timeout(limit, TlsAcceptor::from(current.get()).accept(stream)).await {
                    Ok(Ok(stream)) => {
                        let name = certificate_name(stream.get_ref().1);
                        self.enter(stream, arrival, name).await;
                    }
                    failed => log_failure(peer, failed.err().is_some()),
                }
            }
            Transport::TlsWebSocket(current) => {
                let accepting = async {
                    let stream = TlsAcceptor::from(current.get()).accept(stream).await?;
                    let name = certificate_name(stream.get_ref().1);
                    accept_websocket(stream, largest, share).await.map(|stream| (stream, name))
                };
                match timeout(limit, Box::pin(accepting)).await {
                    Ok(Ok((stream, name))) => self.enter(stream, arrival, name).await,
                    failed => log_failure(peer, failed.err().is_some()),
                }
            }
        }
    }

    /// Reads the CONNECT, and starts the task of the connection.
    async fn enter<S>(self: Arc<Self>, mut stream: S, arrival: Arrival, certificate: Option<String>)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let Arrival { peer, permit, share } = arrival;
        let connecting = async {
            let (received, used) = self.read_connect(&mut stream, peer, &share).await?;
            let packet = received.get(..used).unwrap_or_default();
            let connected = self.connect(packet, peer, certificate, &share).await;
            let rest = received.get(used..).unwrap_or_default().to_vec();
            Ok::<_, io::Error>((connected, rest))
        };
        match timeout(self.connect_timeout, connecting).await {
            Ok(Ok((Ok(key), rest))) => {
                let link = Link::new(Arc::clone(&self.hub), key, stream, share, rest);
                let cut = self.cut.clone();
                // A task of its own, because this one is as large as a handshake needs.
                self.connections.spawn(async move {
                    cut.run_until_cancelled_owned(link).await;
                    drop(permit);
                });
            }
            Ok(Ok((Err(answer), _))) => {
                let _ = timeout(self.connect_timeout, async {
                    stream.write_all(&answer).await?;
                    stream.shutdown().await
                })
                .await;
            }
            Ok(Err(error)) => debug!(%peer, %error, "broker: a connection ended before its CONNECT"),
            Err(_) => debug!(%peer, "broker: a CONNECT took too long"),
        }
    }

    /// The bytes that have come, and how many of them are the first packet.
    async fn read_connect(
        &self,
        stream: &mut (impl AsyncRead + Unpin),
        peer: SocketAddr,
        share: &ReceiveShare,
    ) -> io::Result<(Vec<u8>, usize)> {
        let taken_away = poll_fn(|cx| match share.poll(cx) {
            Holding::Cut => Poll::Ready(()),
            Holding::Nothing | Holding::Pieces { .. } => Poll::Pending,
        });
        let mut taken_away = pin!(taken_away);
        let mut received = Vec::with_capacity(256);
        loop {
            match split_frame(&received, CONNECT_BYTES) {
                Ok(Ok(frame)) if frame.header.packet_type == 1 => {
                    let length = frame.length;
                    return Ok((received, length));
                }
                // Anything but a CONNECT is not read to its end.
                Ok(Err(_)) if received.first().is_none_or(|first| first >> 4 == 1) => {}
                _ => return Err(io::ErrorKind::InvalidData.into()),
            }
            let bytes = received.capacity();
            if bytes > SMALL_CONNECT && !share.reserve(Part::Packet, bytes) {
                return Err(self.no_memory(peer));
            }
            tokio::select! {
                biased;
                () = &mut taken_away => return Err(self.no_memory(peer)),
                read = stream.read_buf(&mut received) => if read? == 0 {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                },
            }
        }
    }

    fn no_memory(&self, peer: SocketAddr) -> io::Error {
        if let Some(left_out) = self.refusals.memory.allow(Instant::now().into_std()) {
            warn!(%peer, left_out, "broker: cut off a connection: this address has most of the CONNECTs that do not come whole (max_connect_memory)");
        }
        io::ErrorKind::OutOfMemory.into()
    }

    /// The key of the accepted connection, or the answer to send before it is closed.
    async fn connect(
        &self,
        packet: &[u8],
        peer: SocketAddr,
        certificate: Option<String>,
        share: &ReceiveShare,
    ) -> Result<ConnectionKey, Vec<u8>> {
        let Ok(Ok(Frame { header: FixedHeader { flags, .. }, body, .. })) =
            split_frame(packet, CONNECT_BYTES)
        else {
            return Err(Vec::new());
        };
        let connect = decode_connect(body).map_err(|(version, invalid)| {
            debug!(%peer, "broker: a CONNECT was refused: {invalid}");
            answer_to_invalid(version, invalid.reason)
        })?;
        // 3.1 does not say that they are 0.
        if flags != 0 && connect.version != Version::V31 {
            return Err(Vec::new());
        }
        let user: Option<Arc<str>> = self.authenticate(&connect, peer, certificate).await?.map(Into::into);
        // A client that says goodbye and comes back at once: what it said last must be read first, or its will is published.
        if self.hub.with(|engine, _| engine.is_connected(connect.client_id)) {
            for _ in 0..2 {
                tokio::task::yield_now().await;
            }
        }
        let new_client_id = format!("auto-{:032x}", rand::random::<u128>());
        let peer = Peer { user: user.clone(), new_client_id, internal: None };
        let connected = self.hub.with(|engine, now| engine.connect(&connect, peer, now));
        share.log_in(user);
        connected.map_err(|refused| refused.connack)
    }

    async fn authenticate(
        &self,
        connect: &Connect<'_>,
        peer: SocketAddr,
        certificate: Option<String>,
    ) -> Result<Option<String>, Vec<u8>> {
        let access = self.auth.access();
        let Refusal { reason, why } = match access.admit(connect, certificate, peer.ip()).await {
            Ok(user) => return Ok(user),
            Err(refusal) => refusal,
        };
        if let Some(left_out) = self.refusals.login.allow(Instant::now().into_std()) {
            let (client, user) = (connect.client_id, connect.user);
            warn!(%peer, client, user, left_out, "broker: refused a client: {why}");
        }
        Err(refused(connect.version, reason).connack)
    }
}

fn log_failure(peer: SocketAddr, timed_out: bool) {
    let why = if timed_out { "it took too long" } else { "it failed" };
    debug!(%peer, "broker: no handshake: {why}");
}

fn certificate_name(connection: &rustls::ServerConnection) -> Option<String> {
    connection.peer_certificates()?.first().and_then(tls::common_name)
}

/// Version 3 can be told two things only; before the version is known, nothing.
fn answer_to_invalid(version: Option<Version>, reason: Reason) -> Vec<u8> {
    match version {
        Some(Version::V5) => refused(Version::V5, reason).connack,
        Some(version)
            if matches!(reason, Reason::UnsupportedProtocolVersion | Reason::ClientIdentifierNotValid) =>
        {
            refused(version, reason).connack
        }
        _ => Vec::new(),
    }
}

/// Opens a Unix socket; one that a killed process left is replaced. Every user of the machine may connect, as to a port of
/// 127.0.0.1: who may do what is decided by the login.
pub(crate) fn bind_unix(path: &Path) -> io::Result<UnixListener> {
    let listener = bind_path(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o666))?;
    Ok(listener)
}

fn bind_path(path: &Path) -> io::Result<UnixListener> {
    match UnixListener::bind(path) {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            if std::os::unix::net::UnixStream::connect(path).is_ok() {
                return Err(error);
            }
            std::fs::remove_file(path)?;
            UnixListener::bind(path)
        }
        bound => bound,
    }
}
