//! The cloud's side of the gateway: the sink, the status and the health that it publishes.

use std::sync::Arc;

use bytes::Bytes;
use gateway_core::ports::Clock as _;
use gateway_core::settings::BuildError;
use serde::Serialize;
use sinks::upstream::{self, CloudCommand, Commands, Settings, UnqueuedMessage};
use tokio::sync::mpsc;

use gateway_config::Config;
use pipeline::clock::SystemClock;
use pipeline::deliver::records::Identity;
use pipeline::observe::health::{Health, UpstreamHealth};
use pipeline::observe::reporter::StatusSink;

/// The connection to the cloud.
pub(crate) struct Upstream {
    sink: upstream::Upstream,
    handle: UpstreamHandle,
}

/// Says what is not queued: the status, and health.
#[derive(Clone)]
pub(crate) struct UpstreamHandle {
    sink: upstream::UpstreamHandle,
    health_topic: String,
}

/// The retained status.
#[derive(Serialize)]
struct Status<'a> {
    state: &'a str,
    time: String,
    version: &'a str,
    /// Adapters that are not up.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    missing: &'a [String],
    /// What is wrong at the moment, as texts.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    problems: &'a [String],
}

impl Status<'_> {
    fn bytes(state: &str, missing: &[String], problems: &[String]) -> Bytes {
        let status = Status {
            state,
            time: SystemClock.now().to_string(),
            version: env!("CARGO_PKG_VERSION"),
            missing,
            problems,
        };
        serde_json::to_vec(&status).unwrap_or_default().into()
    }
}

impl Upstream {
    /// Starts to connect and to empty the outbox.
    pub(crate) fn start(
        config: &Config,
        upstream: &upstream::config::Config,
        identity: &Identity,
        outbox: &outbox::Handle,
        commands: mpsc::Sender<CloudCommand>,
    ) -> Result<Self, BuildError> {
        let base = format!("{}/gateways/{}", identity.prefix, identity.id);
        let settings = Settings {
            link: upstream::check::link(upstream, &config.gateway.id())?,
            max_in_flight: upstream.outbox.max_in_flight,
            format: upstream.format,
            compression: upstream.compression,
            prefix: identity.prefix.clone(),
            gateway: identity.id.clone(),
            status_topic: format!("{base}/status"),
            offline: Status::bytes("offline", &[], &[]),
            commands: Some(Commands { base: format!("{base}/commands/"), sender: commands }),
        };
        let sink = upstream::Upstream::start(settings, outbox.sink(upstream::NAME), Arc::new(SystemClock));
        let handle = UpstreamHandle { sink: sink.handle(), health_topic: format!("{base}/health") };
        Ok(Self { sink, handle })
    }

    pub(crate) fn handle(&self) -> UpstreamHandle {
        self.handle.clone()
    }

    pub(crate) async fn stop(self) {
        self.sink.stop(Status::bytes("offline", &[], &[])).await;
    }
}

impl UpstreamHandle {
    /// Why there is no connection to the cloud now.
    pub(crate) fn error(&self) -> Option<String> {
        let state = self.sink.state();
        state.last_error.filter(|_| !state.connected)
    }

    /// How the connection is doing.
    pub(crate) fn health(&self) -> UpstreamHealth {
        let state = self.sink.state();
        UpstreamHealth {
            connected: state.connected,
            published: state.published,
            last_error: state.last_error,
        }
    }
}

impl UpstreamHandle {
    /// Sends what became of a command; it is lost where there is no connection.
    pub(crate) fn publish_response(&self, topic: String, payload: Bytes) {
        if !self.sink.try_publish_now(UnqueuedMessage { topic, payload, retain: false }) {
            tracing::warn!("the answer to a command was not sent: the connection to the cloud is stuck");
        }
    }
}

impl StatusSink for UpstreamHandle {
    fn publish_online(&self, missing: &[String], problems: &[String]) {
        self.sink.set_status(Status::bytes("online", missing, problems));
    }

    fn publish_health(&self, health: &Health) {
        let payload = serde_json::to_vec(health).unwrap_or_default().into();
        if !self.sink.try_publish_now(UnqueuedMessage {
            topic: self.health_topic.clone(),
            payload,
            retain: false,
        }) {
            tracing::warn!("the health message was not sent: the connection to the cloud is stuck");
        }
    }
}
