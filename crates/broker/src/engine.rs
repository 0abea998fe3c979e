//! mqtt5's parts, wired as its own `MqttBroker` wires them, but without its listeners. [`crate::listener`] replaces
//! those, because mqtt5 does its TLS and WebSocket handshakes one after the other without a time limit, loops without
//! a pause when file descriptors run out, and ignores a listener that it could not bind.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use mqtt5::MqttError;
use mqtt5::broker::auth::AuthProvider;
use mqtt5::broker::client_handler::ClientHandler;
use mqtt5::broker::config::BrokerConfig;
use mqtt5::broker::router::MessageRouter;
use mqtt5::broker::storage::QueueLimits;
use mqtt5::broker::sys_topics::BrokerStats;
use mqtt5::broker::transport::BrokerTransport;
use mqtt5::broker::{DynamicStorage, FileBackend, ResourceLimits, ResourceMonitor, StorageBackend};
use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use crate::broker::INTERNAL_CLIENT_PREFIX;
use crate::{BrokerError, Limits};

/// How often expired sessions and messages are removed.
const SWEEP_INTERVAL: Duration = Duration::from_mins(10);

/// The listeners count connections, and a device may send as fast as it can. mqtt5's defaults would refuse messages
/// beyond 1,000 a minute.
const NO_RATE_LIMITS: ResourceLimits = ResourceLimits {
    max_connections: usize::MAX,
    max_connections_per_ip: usize::MAX,
    max_message_rate_per_client: 0,
    max_bandwidth_per_client: 0,
    max_connection_rate: u32::MAX,
    rate_limit_window: Duration::from_secs(60),
};

/// Routes, sessions and retained messages: the state that outlives a connection.
pub(crate) struct Engine {
    router: Arc<MessageRouter>,
    storage: Arc<DynamicStorage>,
    stats: Arc<BrokerStats>,
    resources: Arc<ResourceMonitor>,
}

impl Engine {
    /// Opens the folder, or creates it, and restores the sessions in it.
    pub(crate) async fn open(folder: &Path, limits: &Limits) -> Result<Self, BrokerError> {
        let storage_error = |source| BrokerError::Storage { path: folder.to_owned(), source };
        let queue =
            QueueLimits { max_messages: limits.max_queued_messages, max_bytes: limits.max_queued_bytes };
        let backend = FileBackend::with_queue_limits(folder, queue).await.map_err(storage_error)?;
        let storage = Arc::new(DynamicStorage::File(backend));
        let router = MessageRouter::with_storage(Arc::clone(&storage))
            .with_fallback_queue_limits(queue)
            .with_retained_limits(limits.max_retained, 0);
        let router = Arc::new(router);
        let engine = Self {
            router,
            storage,
            stats: Arc::new(BrokerStats::new()),
            resources: Arc::new(ResourceMonitor::new(NO_RATE_LIMITS)),
        };
        engine.recover().await.map_err(storage_error)?;
        Ok(engine)
    }

    async fn recover(&self) -> Result<(), MqttError> {
        self.remove_internal_sessions().await?;
        self.router.recover_sessions(u32::MAX).await?;
        self.storage.cleanup_expired().await?;
        self.router.initialize().await
    }

    /// Removes sessions of the gateway's own clients: the gateway publishes only and never fetches queued messages.
    async fn remove_internal_sessions(&self) -> Result<(), MqttError> {
        let mut clients = self.storage.session_client_ids().await?;
        clients.retain(|client| client.starts_with(INTERNAL_CLIENT_PREFIX));
        for client in clients {
            self.storage.remove_session(&client).await?;
            self.storage.remove_queued_messages(&client).await?;
            self.storage.remove_all_inflight_messages(&client).await?;
        }
        Ok(())
    }

    /// Removes expired sessions and messages periodically until stopped.
    pub(crate) async fn sweep(&self, stop: CancellationToken) {
        let mut every = tokio::time::interval(SWEEP_INTERVAL);
        while stop.run_until_cancelled(every.tick()).await.is_some() {
            if let Err(error) = self.storage.cleanup_expired().await {
                warn!(%error, "broker: cannot clean up its folder");
            }
            self.router.sweep_sessions().await;
        }
    }

    /// Serves one client until either side ends the connection; on `shutdown` mqtt5 closes it in order.
    pub(crate) async fn serve(
        &self,
        transport: BrokerTransport,
        peer: SocketAddr,
        config: Arc<BrokerConfig>,
        auth: Arc<dyn AuthProvider>,
        shutdown: broadcast::Receiver<()>,
    ) {
        let handler = ClientHandler::new(
            transport,
            peer,
            config,
            Arc::clone(&self.router),
            auth,
            Some(Arc::clone(&self.storage)),
            Arc::clone(&self.stats),
            Arc::clone(&self.resources),
            shutdown,
        );
        // Boxed: the handler's state is large, and most of it is only needed while it runs.
        if let Err(error) = Box::pin(handler.run()).await {
            debug!(%peer, %error, "broker: a client's connection ended");
        }
    }

    /// Writes everything to disk. Call it after the last connection has ended.
    pub(crate) async fn close(&self) {
        if let Err(error) = self.storage.shutdown().await {
            warn!(%error, "broker: cannot write its sessions to disk");
        }
    }
}

/// mqtt5's settings for each client.
pub(crate) fn client_config(limits: &Limits) -> BrokerConfig {
    BrokerConfig {
        max_packet_size: usize::try_from(limits.max_packet_size).unwrap_or(usize::MAX),
        max_clients: limits.max_clients,
        max_subscriptions_per_client: limits.max_subscriptions,
        client_channel_capacity: limits.max_queued_messages,
        session_expiry_interval: limits.session_expiry,
        // mosquitto's default; mqtt5's 65,535 would let one client store gigabytes of topics.
        topic_alias_maximum: 10,
        // QoS 2 messages between PUBLISH and PUBREL; the same.
        server_receive_maximum: Some(64),
        ..BrokerConfig::default()
    }
}
