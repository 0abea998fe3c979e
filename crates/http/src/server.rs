//! The server: listens, accepts, and bounds what connections may take.
//!
//! - Connections are bounded, in all and for each address ([`Shares`]); one too many is closed at once.
//! - A connection has [`HANDSHAKE_TIMEOUT`] for TLS and [`HEADER_TIMEOUT`] for each request's head, a request
//!   [`REQUEST_TIMEOUT`] until its answer begins. A peer that reads nothing for [`SEND_TIMEOUT`] is cut off.
//! - Bodies are bounded ([`MOST_BODY`]).

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{DefaultBodyLimit, Request};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Response};
use axum::{Extension, Router};
use credentials::CurrentCertificate;
use gateway_core::ports::Clock;
use gateway_core::settings::BuildError;
use gateway_core::{AdapterHealth, Backoff, Condition, Throttle};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::access::Access;
use crate::answers::Answers;
use crate::config::Config;
use crate::drawings::Drawings;
use crate::guard::{self, Hosts, Peer};
use crate::history_reader::HistoryReader;
use crate::live::Live;
use crate::overview::Overviews;
use crate::problem::Problem;
use crate::shares::{Share, Shares};
use crate::state::{App, Sources};
use crate::work::Work;
use crate::{api, stream, tls};

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
    certificate: Option<Arc<CurrentCertificate>>,
}

impl Server {
    /// Starts it. An address that is taken is tried again until it is free; its state says so.
    ///
    /// # Errors
    /// A password or the certificate cannot be used.
    pub fn start(config: &Config, sources: Sources, clock: Arc<dyn Clock>) -> Result<Self, BuildError> {
        let access = Access::new(config).map_err(|error| BuildError::new("http.password", &error))?;
        let certificate = certificate(config)?.map(CurrentCertificate::new);
        let history = HistoryReader::new(sources.history.clone());
        let drawings = Drawings::default();
        let overviews = Overviews::new(sources.clone(), history.clone(), drawings.clone());
        let live = Arc::new(Live::new(clock.now().as_millis().unsigned_abs()));
        let stop = CancellationToken::new();
        let tasks = TaskTracker::new();
        tasks.spawn(Arc::clone(&live).run(
            sources.clone(),
            overviews.clone(),
            drawings.clone(),
            stop.clone(),
        ));
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
            drawings,
            streams: stream::shares(),
            exports: api::exports(),
        });
        let condition = Condition::new(clock);
        let health = condition.watch();
        let entrance = Entrance {
            router: router(&app),
            certificate: certificate.clone(),
            connections: Shares::new(config.max_connections, config.max_connections / 2),
            tasks: tasks.clone(),
            stop: stop.clone(),
        };
        tasks.spawn(listen(config.listen, entrance, condition));
        Ok(Self { stop, tasks, health, certificate })
    }

    /// Whether it listens.
    #[must_use]
    pub fn health(&self) -> watch::Receiver<AdapterHealth> {
        self.health.clone()
    }

    /// Reads the certificate's files again: new connections get what is in them, old ones stay.
    ///
    /// # Errors
    /// They cannot be used. The certificate before stays in force.
    pub fn renew_certificate(&self, config: &Config) -> Result<(), BuildError> {
        if let (Some(current), Some(renewed)) = (&self.certificate, certificate(config)?) {
            current.replace(renewed);
        }
        Ok(())
    }

    /// Stops it. Streams end at once, other answers have a moment.
    pub async fn stop(self) {
        self.stop.cancel();
        self.tasks.close();
        let _ = tokio::time::timeout(STOP_TIMEOUT, self.tasks.wait()).await;
    }
}

fn certificate(config: &Config) -> Result<Option<Arc<ServerConfig>>, BuildError> {
    tls::server_config(config).map_err(|error| BuildError::new("http.cert_file", &error))
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
    certificate: Option<Arc<CurrentCertificate>>,
    connections: Shares,
    tasks: TaskTracker,
    stop: CancellationToken,
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
    let scheme = if entrance.certificate.is_some() { "https" } else { "http" };
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
                let peer = Peer { address: peer.ip().to_canonical(), cut: entrance.stop.child_token() };
                // A connection too many is closed at once.
                let Some(share) = entrance.connections.take(peer.address, 1, &peer.cut) else { continue };
                entrance.tasks.spawn(serve(stream, peer, entrance.clone(), share));
            }
            Err(error) => {
                tracing::warn!("http cannot accept a connection: {error}");
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        }
    }
}

async fn serve(stream: TcpStream, peer: Peer, entrance: Entrance, _share: Share) {
    let _ = stream.set_nodelay(true);
    let _ = socket2::SockRef::from(&stream).set_tcp_user_timeout(Some(SEND_TIMEOUT));
    // Cancelled when the server stops, and when another address needs the connection more.
    let cut = peer.cut.clone();
    let answering = async {
        match &entrance.certificate {
            None => answer(stream, peer, &entrance.router).await,
            Some(certificate) => {
                let acceptor = TlsAcceptor::from(certificate.get());
                if let Ok(Ok(stream)) = tokio::time::timeout(HANDSHAKE_TIMEOUT, acceptor.accept(stream)).await
                {
                    answer(stream, peer, &entrance.router).await;
                }
            }
        }
    };
    cut.run_until_cancelled(answering).await;
}

async fn answer(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, peer: Peer, router: &Router) {
    let service = TowerToHyperService::new(router.clone().layer(Extension(peer)));
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .max_buf_size(MOST_HEAD.max(8192))
        .serve_connection(TokioIo::new(stream), service);
    // A peer that breaks the protocol or goes away is no error.
    let _ = connection.await;
}
