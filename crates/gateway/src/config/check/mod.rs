//! What a configuration means, beyond what types can say: names, clashes, references, files. Many small checks, all of
//! which run, so that everything is told at once. Nothing here opens a socket: see `machine`.

mod adapters;
mod aggregate;
mod anomaly;
mod broker;
mod coap;
mod coap_client;
mod devices;
mod downlinks;
pub(crate) mod files;
mod gateway;
mod history;
mod link;
mod lorawan;
mod rules;

pub(crate) use broker::listeners;
pub(crate) use coap::listeners as coap_listeners;

use super::model::Config;
use super::report::Report;

/// Tells everything that is wrong with `config`.
pub(crate) fn check(report: &mut Report, config: &Config) {
    gateway::check(report, &config.gateway);
    link::check_upstream(report, config.upstream.as_ref(), config.journal.enabled);
    broker::check(report, config.broker.as_ref());
    adapters::check(report, config);
    coap::check(report, config);
    lorawan::check(report, config);
    devices::check(report, config);
    aggregate::check(report, &config.aggregate);
    anomaly::check(report, &config.anomaly);
    rules::check(report, config);
    history::check(report, config.history.as_ref());
}
