//! Publishes how the gateway is doing: `online` once the adapters are up, then `health` every `gateway.health_every`.

use std::time::Duration;

use gateway_core::AdapterHealth;
use gateway_core::ports::AdapterState;
use tokio::time::{Interval, MissedTickBehavior};

use super::health::Health;
use super::health_source::HealthSource;
use crate::problems::Problems;
use read_model::ReadModel;

/// How long `online` waits for adapters that are not up yet.
const ADAPTERS_TIMEOUT: Duration = Duration::from_secs(10);

/// How often the status is compared with the adapters' states.
const STATUS_INTERVAL: Duration = Duration::from_secs(5);

/// The connection to the cloud, as far as the reporter needs it.
pub trait StatusSink {
    /// Publishes the retained status. `missing`: adapters that are not up.
    fn publish_online(&self, missing: &[String], problems: &[String]);
    fn publish_health(&self, health: &Health);
}

/// What it needs to know.
pub struct Reporter<S> {
    pub health: HealthSource,
    pub read_model: ReadModel,
    pub upstream: S,
    pub problems: Problems,
    pub health_every: Duration,
}

impl<S: StatusSink> Reporter<S> {
    /// Runs until it is dropped.
    pub async fn run(mut self) {
        self.wait_for_adapters().await;
        let mut missing = self.missing();
        self.publish_online(&missing);
        let mut due = every(self.health_every);
        let mut look = every(STATUS_INTERVAL);
        loop {
            tokio::select! {
                _ = due.tick() => {}
                _ = look.tick() => {
                    let now_missing = self.missing();
                    if now_missing == missing {
                        continue;
                    }
                    missing = now_missing;
                    self.publish_online(&missing);
                }
                changed = self.problems.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    self.publish_online(&missing);
                }
            }
            if let Some(health) = self.health.now().await {
                self.upstream.publish_health(&health);
            }
        }
    }

    fn publish_online(&mut self, missing: &[(String, bool)]) {
        let problems = self.problems.borrow_and_update().clone();
        let names: Vec<_> = missing.iter().map(|(name, _)| name.clone()).collect();
        self.upstream.publish_online(&names, &problems);
    }

    /// Returns once all are up, or after a bounded wait.
    async fn wait_for_adapters(&self) {
        let watched = self.read_model.watch_adapters();
        let all_up = async {
            for (_, mut state) in watched {
                // An adapter that is gone will not come up.
                let _ = state.wait_for(|health| health.state == AdapterState::Up).await;
            }
        };
        let _ = tokio::time::timeout(ADAPTERS_TIMEOUT, all_up).await;
    }

    /// The adapters that are not up, and whether they are down: one that is starting may go down, which is news.
    fn missing(&self) -> Vec<(String, bool)> {
        let watched = self.read_model.watch_adapters();
        let is_missing = |health: &AdapterHealth| match health.state {
            AdapterState::Up => None,
            AdapterState::Starting => Some(false),
            AdapterState::Down { .. } => Some(true),
        };
        watched.into_iter().filter_map(|(name, health)| Some((name, is_missing(&health.borrow())?))).collect()
    }
}

fn every(period: Duration) -> Interval {
    let mut interval = tokio::time::interval(period);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    interval
}
