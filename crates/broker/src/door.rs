//! The listeners: bound at once, each new connection's handshake in a task of its own and under a time limit.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use gateway_core::Throttle;
use mqtt5::MqttError;
use mqtt5::broker::auth::AuthProvider;
use mqtt5::broker::config::BrokerConfig;
use mqtt5::broker::tls_acceptor::{TlsAcceptorConfig, accept_tls_connection};
use mqtt5::broker::transport::BrokerTransport;
use mqtt5::broker::websocket_server::{WebSocketServerConfig, accept_websocket_connection};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, broadcast};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, warn};

use crate::client::{Client, Shared};
use crate::engine::Engine;
use crate::resent::listened_in;
use crate::{BrokerError, Tls};

/// TLS and WebSocket handshakes that take longer are given up; for the CONNECT after them, mqtt5 waits as long again.
const HANDSHAKE_TIME: Duration = Duration::from_secs(10);
/// After a failed accept, which mostly means that the process has no file descriptors left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

type Handshaking = Pin<Box<dyn Future<Output = Result<BrokerTransport, MqttError>> + Send>>;

/// How a new connection becomes one that carries MQTT.
pub(crate) type Handshake = Arc<dyn Fn(TcpStream, SocketAddr) -> Handshaking + Send + Sync>;

/// TCP as it is.
pub(crate) fn plain() -> Handshake {
    Arc::new(|stream, _| Box::pin(std::future::ready(Ok(BrokerTransport::tcp(stream)))))
}

/// MQTT in binary WebSocket frames.
pub(crate) fn websocket() -> Handshake {
    Arc::new(|stream, peer| {
        Box::pin(async move {
            let config = WebSocketServerConfig::default();
            Ok(BrokerTransport::websocket(accept_websocket_connection(stream, &config, peer).await?))
        })
    })
}

/// MQTT over TLS.
pub(crate) async fn tls(settings: &Tls) -> Result<Handshake, BrokerError> {
    let acceptor =
        tls_config(settings).await?.build_acceptor().map_err(|source| tls_error(settings, source))?;
    Ok(Arc::new(move |stream, peer| {
        let acceptor = acceptor.clone();
        Box::pin(
            async move { Ok(BrokerTransport::tls(accept_tls_connection(&acceptor, stream, peer).await?)) },
        )
    }))
}

/// MQTT over WebSocket over TLS.
pub(crate) async fn websocket_tls(settings: &Tls) -> Result<Handshake, BrokerError> {
    let config = tls_config(settings).await?.with_alpn_protocols(vec![b"http/1.1".to_vec()]);
    let acceptor = config.build_acceptor().map_err(|source| tls_error(settings, source))?;
    Ok(Arc::new(move |stream, peer| {
        let acceptor = acceptor.clone();
        Box::pin(async move {
            let stream = accept_tls_connection(&acceptor, stream, peer).await?;
            let config = WebSocketServerConfig::default();
            Ok(BrokerTransport::websocket(accept_websocket_connection(stream, &config, peer).await?))
        })
    }))
}

pub(crate) fn address_of(listener: &TcpListener, protocol: &'static str) -> Result<SocketAddr, BrokerError> {
    let unknown = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
    listener.local_addr().map_err(|source| BrokerError::Bind { address: unknown, protocol, source })
}

async fn tls_config(settings: &Tls) -> Result<TlsAcceptorConfig, BrokerError> {
    // mqtt5 asks rustls for the process's provider. Where the process has chosen one already, that one stays.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let failed = |path: &Path, what| {
        let path = path.to_owned();
        move |source| BrokerError::Certificate { path, what, source }
    };
    let Tls { cert_file, key_file, client_ca_file, .. } = settings;
    let chain = TlsAcceptorConfig::load_cert_chain_from_file(cert_file)
        .await
        .map_err(failed(cert_file, "certificate"))?;
    let key = TlsAcceptorConfig::load_private_key_from_file(key_file)
        .await
        .map_err(failed(key_file, "private key"))?;
    let mut config = TlsAcceptorConfig::new(chain, key);
    if let Some(ca_file) = client_ca_file {
        let authorities = TlsAcceptorConfig::load_cert_chain_from_file(ca_file)
            .await
            .map_err(failed(ca_file, "client CA"))?;
        config = config.with_client_ca_certs(authorities).with_require_client_cert(true);
    }
    Ok(config)
}

fn tls_error(settings: &Tls, source: MqttError) -> BrokerError {
    BrokerError::Tls { cert_file: settings.cert_file.clone(), key_file: settings.key_file.clone(), source }
}

pub(crate) async fn bind(address: SocketAddr, protocol: &'static str) -> Result<TcpListener, BrokerError> {
    TcpListener::bind(address).await.map_err(|source| BrokerError::Bind { address, protocol, source })
}

/// What all connections of one kind share.
pub(crate) struct Door {
    pub(crate) engine: Arc<Engine>,
    pub(crate) auth: Arc<dyn AuthProvider>,
    pub(crate) config: BrokerConfig,
    pub(crate) shared: Arc<Shared>,
    /// How many more may be connected.
    pub(crate) room: Arc<Semaphore>,
    pub(crate) connections: TaskTracker,
    /// No new connections from now on.
    pub(crate) stop: CancellationToken,
    /// No connections at all from now on.
    pub(crate) cut: CancellationToken,
    pub(crate) full: Throttle,
}

impl Door {
    /// Accepts until stopped. Where there is no room, a connection is closed at once: the client tries again, and
    /// nobody waits in a queue that a hostile client has filled.
    pub(crate) async fn keep(self: Arc<Self>, listener: TcpListener, handshake: Handshake) {
        while let Some(accepted) = self.stop.run_until_cancelled(listener.accept()).await {
            match accepted {
                Ok((stream, peer)) => self.let_in(stream, peer, &handshake),
                Err(error) => {
                    warn!(%error, "broker: cannot accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    fn let_in(self: &Arc<Self>, stream: TcpStream, peer: SocketAddr, handshake: &Handshake) {
        let Ok(place) = Arc::clone(&self.room).try_acquire_owned() else {
            if let Some(left_out) = self.full.allow(Instant::now().into_std()) {
                warn!(%peer, left_out, "broker: refused a connection: max_clients are connected");
            }
            return;
        };
        // Only delays small packets.
        let _ = stream.set_nodelay(true);
        let (door, handshaking) = (Arc::clone(self), handshake(stream, peer));
        self.connections.spawn(async move {
            door.cut.run_until_cancelled(door.attend(handshaking, peer)).await;
            drop(place);
        });
    }

    async fn attend(&self, handshaking: Handshaking, peer: SocketAddr) {
        let transport = match tokio::time::timeout(HANDSHAKE_TIME, handshaking).await {
            Ok(Ok(transport)) => transport,
            Ok(Err(error)) => return debug!(%peer, %error, "broker: a handshake failed"),
            Err(_) => return debug!(%peer, "broker: a handshake took too long"),
        };
        let (goodbye, told) = broadcast::channel(1);
        let (transport, resent) = listened_in(transport);
        let client = Client::new(Arc::clone(&self.shared), self.stop.clone(), goodbye.clone(), resent);
        let config = BrokerConfig { event_handler: Some(Arc::new(client)), ..self.config.clone() };
        let serving = self.engine.serve(transport, peer, Arc::new(config), Arc::clone(&self.auth), told);
        let mut serving = pin!(serving);
        tokio::select! {
            () = &mut serving => return,
            () = self.stop.cancelled() => {}
        }
        // Where it has been told already, it is about to end.
        let _ = goodbye.send(());
        serving.await;
    }
}
