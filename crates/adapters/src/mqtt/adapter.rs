//! The adapter: receives messages, sends uplinks, acknowledges messages by their outcome.

use std::sync::Arc;

use async_trait::async_trait;
use gateway_core::AdapterId;
use gateway_core::ports::{Adapter, AdapterContext, AdapterError, LocalBroker};
use mqtt_link::{Options, Qos, Subscriber};
use tokio::sync::mpsc;
use tracing::info;

use super::addresses::Addresses;
use super::intake::Intake;
use super::remote::Remote;
use super::routes::{Route, Routes};
use super::{commands, local};

/// The broker that an adapter receives messages from and sends commands to.
#[derive(Clone)]
pub enum Source {
    /// A remote broker. Use a persistent session, so that QoS 1 messages survive a pause, and a `max_packet_size` slightly
    /// above the pipeline's largest payload: larger ones then arrive and are counted.
    Remote(Box<Options>),
    /// The embedded broker, which delivers messages and takes commands within the process.
    Local(Arc<dyn LocalBroker>),
}

/// One broker's devices: `[adapters.mqtt.<name>]`.
pub struct MqttAdapter {
    id: AdapterId,
    source: Source,
    routes: Vec<Route>,
}

impl MqttAdapter {
    /// Makes an adapter; it connects when it runs.
    #[must_use]
    pub const fn new(id: AdapterId, source: Source, routes: Vec<Route>) -> Self {
        Self { id, source, routes }
    }
}

/// The topic filters, without captures, that cover all `routes`; no two of them overlap.
#[must_use]
pub fn subscriptions(routes: &[Route]) -> Vec<String> {
    Routes::new(routes.to_vec()).subscriptions()
}

#[async_trait]
impl Adapter for MqttAdapter {
    fn id(&self) -> &AdapterId {
        &self.id
    }

    async fn run(&mut self, context: &mut AdapterContext) -> Result<(), AdapterError> {
        let AdapterContext { uplinks, commands, condition, clock, stop } = context;
        let addresses = Addresses::new(&self.routes);
        let routes = Routes::new(self.routes.clone());
        let filters = routes.subscriptions();
        // A child token: if the pipeline has ended, the commands end too.
        let stop = stop.child_token();
        let intake =
            Intake { id: &self.id, routes, addresses: &addresses, clock: &**clock, uplinks, stop: &stop };
        let messages = async {
            let result = match &self.source {
                Source::Remote(link) => {
                    let filters = filters.into_iter().map(|filter| (filter, Qos::AtLeastOnce)).collect();
                    let (outstanding, all_acknowledged) = mpsc::channel(1);
                    let remote = Remote::new(intake, condition, outstanding);
                    remote.run(Subscriber::start((**link).clone(), filters), all_acknowledged).await
                }
                Source::Local(broker) => {
                    let messages = broker.attach(&self.id);
                    info!(adapter = %self.id, "mqtt: receives from the embedded broker");
                    condition.up();
                    local::run(intake, messages).await
                }
            };
            stop.cancel();
            result
        };
        let commands = async {
            match &self.source {
                Source::Remote(link) => commands::run(&self.id, link, &addresses, commands, &stop).await,
                Source::Local(broker) => {
                    commands::run_local(&self.id, &**broker, &addresses, commands, &stop).await;
                }
            }
        };
        let (result, ()) = tokio::join!(messages, commands);
        result
    }
}
