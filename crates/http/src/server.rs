//! The server: listens, accepts, and bounds what connections may take.
//!
//! - Connections are bounded, in all and for each address; one too many is closed at once.
//! - A connection has [`HANDSHAKE_TIMEOUT`] for TLS and [`HEADER_TIMEOUT`] for each request's head, a request
//!   [`REQUEST_TIMEOUT`] until its answer begins. A peer that reads nothing for [`SEND_TIMEOUT`] is cut off.
//! - Bodies are bounded ([`MOST_BODY`]).

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::extract::{DefaultBodyLimit, Request};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Response};
use axum::{Extension, Router};
use gateway_core::ports::Clock;
use gateway_core::settings::BuildError;
use gateway_core::{AdapterHealth, Backoff, Condition, Throttle};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::access::Access;
use crate::answers::Answers;
use crate::attempts::network;
use crate::config::Config;
use crate::guard::{self, Hosts, Peer};
use crate::history_reader::HistoryReader;
use crate::live::Live;
use crate::overview::Overviews;
use crate::problem::Problem;
use crate::state::{App, Sources};
use crate::work::Work;
use crate::{api, tls};

const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);
const SEND_TIMEOUT: Duration = Duration::from_secs(60);
/// Of a request, in bytes.
const MOST_BODY: usize = 256 * 1024;
/// Of a request's head, in bytes.
const MOST_HEAD: usize = 16 * 1024;
const BACKLOG: u32 = 1024;
/// A listener that cannot be opened is tried again after this, at first and at most.
const PAUSE: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));
/// At most one line of the log about refused logins in this time.
const REFUSED_PERIOD: Duration = Duration::from_secs(10);
/// How long a stop waits for answers under way.
const STOP_TIMEOUT: Duration = Duration::from_secs(2);

/// The server, running.
pub struct Server {
    stop: CancellationToken,
    tasks: TaskTracker,
    health: watch::Receiver<AdapterHealth>,
}

impl Server {
    /// Starts it. An address that is taken is tried again until it is free; its state says so.
    ///
    /// # Errors
    /// A password or the certificate cannot be used.
    pub fn start(config: &Config, sources: Sources, clock: Arc<dyn Clock>) -> Result<Self, BuildError> {
        let access = Access::new(config).map_err(|error| BuildError::new("http.password", &error))?;
        let tls = tls::acceptor(config).map_err(|error| BuildError::new("http.cert_file", &error))?;
        let history = HistoryReader::new(sources.history.clone());
        let overviews = Overviews::new(sources.clone(), history.clone());
        let live = Arc::new(Live::new(clock.now().as_millis().unsigned_abs()));
        let stop = CancellationToken::new();
        let tasks = TaskTracker::new();
        tasks.spawn(Arc::clone(&live).run(sources.clone(), overviews.clone(), stop.clone()));
        let app = Arc::new(App {
            access,
            hosts: Hosts::new(&config.hosts),
            sources,
            history,
            live,
            overviews,
            work: Work::default(),
            refused: Throttle::new(REFUSED_PERIOD),
            answers: Answers::default(),
        });
        let condition = Condition::new(clock);
        let health = condition.watch();
        let entrance = Entrance {
            router: router(&app),
            tls,
            most: config.max_connections,
            open: Arc::default(),
            tasks: tasks.clone(),
            stop: stop.clone(),
        };
        tasks.spawn(listen(config.listen, entrance, condition));
        Ok(Self { stop, tasks, health })
    }

    /// Whether it listens.
    #[must_use]
    pub fn health(&self) -> watch::Receiver<AdapterHealth> {
        self.health.clone()
    }

    /// Stops it. Streams end at once, other answers have a moment.
    pub async fn stop(self) {
        self.stop.cancel();
        self.tasks.close();
        let _ = tokio::time::timeout(STOP_TIMEOUT, self.tasks.wait()).await;
    }
}

fn router(app: &Arc<App>) -> Router {
    api::router(Arc::clone(app))
        .layer(middleware::from_fn(in_time))
        .layer(middleware::from_fn_with_state(Arc::clone(app), guard::guard))
        .layer(DefaultBodyLimit::max(MOST_BODY))
}

async fn in_time(request: Request, next: Next) -> Response {
    let answer = tokio::time::timeout(REQUEST_TIMEOUT, next.run(request)).await;
    answer.unwrap_or_else(|_| {
        Problem::new(axum::http::StatusCode::REQUEST_TIMEOUT, "the request or its answer took too long")
            .into_response()
    })
}

/// Takes connections in.
#[derive(Clone)]
struct Entrance {
    router: Router,
    tls: Option<TlsAcceptor>,
    most: usize,
    open: Arc<Mutex<HashMap<IpAddr, usize>>>,
    tasks: TaskTracker,
    stop: CancellationToken,
}

/// A connection's place among those that may be open.
struct Place {
    open: Arc<Mutex<HashMap<IpAddr, usize>>>,
    peer: IpAddr,
}

impl Place {
    /// None where there are too many, in all or of this address.
    fn take(entrance: &Entrance, peer: IpAddr) -> Option<Self> {
        let mut open = entrance.open.lock().unwrap_or_else(PoisonError::into_inner);
        let all: usize = open.values().sum();
        let of_peer = open.get(&peer).copied().unwrap_or(0);
        if all >= entrance.most || of_peer >= entrance.most / 2 {
            return None;
        }
        open.insert(peer, of_peer + 1);
        Some(Self { open: Arc::clone(&entrance.open), peer })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(of_peer) = open.get_mut(&self.peer) {
            *of_peer -= 1;
            if *of_peer == 0 {
                open.remove(&self.peer);
            }
        }
    }
}

async fn listen(address: SocketAddr, entrance: Entrance, condition: Condition) {
    let mut backoff = Backoff::new(PAUSE.0, PAUSE.1);
    let stop = entrance.stop.clone();
    let listener = loop {
        match bind(address) {
            Ok(listener) => break listener,
            Err(error) => {
                let why =
                    format!("http cannot listen on {address}: {error}; change http.listen or free the port");
                tracing::warn!("{why}");
                condition.down(why);
            }
        }
        let pause = tokio::time::sleep(backoff.next_wait(rand::random()));
        if stop.run_until_cancelled(pause).await.is_none() {
            return;
        }
    };
    let address = listener.local_addr().unwrap_or(address);
    let scheme = if entrance.tls.is_some() { "https" } else { "http" };
    tracing::info!("the web page is at {scheme}://{address}");
    condition.up();
    stop.run_until_cancelled(accept(&listener, &entrance)).await;
}

fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    // Connections of an earlier process do not hold the address.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

async fn accept(listener: &TcpListener, entrance: &Entrance) {
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                // A connection too many is closed at once.
                let Some(place) = Place::take(entrance, network(peer.ip())) else { continue };
                entrance.tasks.spawn(serve(stream, peer, entrance.clone(), place));
            }
            Err(error) => {
                tracing::warn!("http cannot accept a connection: {error}");
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        }
    }
}

async fn serve(stream: TcpStream, peer: SocketAddr, entrance: Entrance, _place: Place) {
    let _ = stream.set_nodelay(true);
    let _ = socket2::SockRef::from(&stream).set_tcp_user_timeout(Some(SEND_TIMEOUT));
    match &entrance.tls {
        None => answer(stream, peer, &entrance).await,
        Some(acceptor) => {
            let handshake = tokio::time::timeout(HANDSHAKE_TIMEOUT, acceptor.accept(stream));
            let stream = entrance.stop.run_until_cancelled(handshake).await;
            if let Some(Ok(Ok(stream))) = stream {
                answer(stream, peer, &entrance).await;
            }
        }
    }
}

async fn answer(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    peer: SocketAddr,
    entrance: &Entrance,
) {
    let service = TowerToHyperService::new(entrance.router.clone().layer(Extension(Peer(peer))));
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .max_buf_size(MOST_HEAD.max(8192))
        .serve_connection(TokioIo::new(stream), service);
    // A peer that breaks the protocol or goes away is no error.
    let _ = entrance.stop.run_until_cancelled(connection).await;
}
