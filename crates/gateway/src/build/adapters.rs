//! The adapters, and what they share with the rest of the gateway.

use std::sync::Arc;

use adapters::kind::{Blueprint, BuildContext};
use adapters::mqtt::{EmbeddedBroker, Mqtt, embedded_subscriptions};
use broker::{LocalAccess, Tap};
use codecs::CodecTable;
use gateway_config::Config;
use gateway_core::ports::Clock as _;
use gateway_core::settings::BuildError;
use gateway_core::{AdapterId, Services};

use pipeline::clock::SystemClock;

/// The embedded broker, for the adapters.
#[derive(Clone)]
pub(crate) struct Embedded {
    pub(crate) tap: Tap,
    pub(crate) access: LocalAccess,
    /// How its listeners are doing.
    pub(crate) health: tokio::sync::watch::Receiver<gateway_core::AdapterHealth>,
}

impl Embedded {
    /// Lends the broker to adapters.
    pub(crate) fn lend(&self, services: &Services) {
        services.insert(EmbeddedBroker(Arc::new(self.access.clone())));
    }
}

/// Calls `build` with what kinds of adapters are built with.
pub(crate) fn with_context<T>(
    config: &Config,
    codecs: &mut CodecTable,
    services: &Services,
    build: impl FnOnce(&mut BuildContext<'_>) -> T,
) -> T {
    let id = config.gateway.id();
    let site = config.site(&id, SystemClock.now());
    build(&mut BuildContext { site: &site, codecs, services })
}

/// All adapters of the configuration.
pub(crate) fn adapters(
    config: &Config,
    codecs: &mut CodecTable,
    services: &Services,
) -> Result<Vec<Blueprint>, BuildError> {
    with_context(config, codecs, services, |context| {
        prepare(config, context)?;
        let mut blueprints = Vec::new();
        for kind in config.adapters.kinds() {
            blueprints.extend(kind.build(context)?);
        }
        Ok(blueprints)
    })
}

/// What must be done before anything is built of the configuration.
pub(crate) fn prepare(config: &Config, context: &mut BuildContext<'_>) -> Result<(), BuildError> {
    config.adapters.kinds().try_for_each(|kind| kind.prepare(context))
}

/// What each adapter wants of the embedded broker's messages.
pub(crate) fn wanted(
    config: &Config,
    codecs: &mut CodecTable,
) -> Result<Vec<(AdapterId, Vec<String>)>, BuildError> {
    let Some(mqtt) = config.adapters.of::<Mqtt>() else { return Ok(Vec::new()) };
    let id = config.gateway.id();
    embedded_subscriptions(mqtt, &config.site(&id, SystemClock.now()), codecs)
}
