//! What a reload can change while Riser runs, and what it cannot.
//!
//! Adapters, devices, windows, the anomaly model, alerts and the broker's users change at once. What the broker's
//! listeners, the cloud link and the store on disk were opened with stays until the next start.

use super::model::Config;

/// The keys and tables that differ and need a restart to change; empty where everything can change at once.
#[must_use]
pub fn restart_needed(old: &Config, new: &Config) -> Vec<String> {
    let differs = [
        ("gateway.id", old.gateway.id() != new.gateway.id()),
        ("gateway.prefix", old.gateway.prefix != new.gateway.prefix),
        ("gateway.data_dir", old.gateway.data_dir != new.gateway.data_dir),
        ("gateway.health_every", old.gateway.health_every != new.gateway.health_every),
        ("upstream", old.upstream != new.upstream),
        ("sinks", old.sinks != new.sinks),
        ("broker", listeners(old) != listeners(new)),
        ("journal", old.journal != new.journal),
        ("history", old.history != new.history),
    ];
    differs.into_iter().filter(|(_, differs)| *differs).map(|(key, _)| key.to_owned()).collect()
}

/// The broker without what can change while it runs.
fn listeners(config: &Config) -> Option<broker::config::Config> {
    let broker = config.broker.clone()?;
    let mut listeners = broker;
    listeners.take_access(&broker::config::Config::default());
    Some(listeners)
}

#[cfg(test)]
mod tests {
    use super::*;
    use gateway_core::settings::Device;

    #[test]
    fn devices_change_at_once_and_the_broker_does_not() {
        let old = Config::default();
        let mut new = old.clone();
        new.devices.insert("lounge".to_owned(), Device::default());
        new.aggregate.by_zone = true;
        assert!(restart_needed(&old, &new).is_empty());
        new.broker = Some(broker::config::Config::default());
        new.gateway.prefix = "site".to_owned();
        assert_eq!(restart_needed(&old, &new), ["gateway.prefix", "broker"]);
    }
}
