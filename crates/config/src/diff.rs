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
    let differs = differs.into_iter().filter(|(_, differs)| *differs);
    differs
        .flat_map(|(key, _)| if key == "broker" { broker_keys(old, new) } else { vec![key.to_owned()] })
        .collect()
}

/// The keys of the broker that differ and need a restart.
fn broker_keys(old: &Config, new: &Config) -> Vec<String> {
    let keys = |config| match listeners(config).map(serde_json::to_value) {
        Some(Ok(serde_json::Value::Object(keys))) => Some(keys),
        _ => None,
    };
    let (Some(old), Some(new)) = (keys(old), keys(new)) else { return vec!["broker".to_owned()] };
    let names = new.keys().chain(old.keys().filter(|key| !new.contains_key(*key)));
    let differs = names.filter(|key| old.get(*key) != new.get(*key)).map(|key| format!("broker.{key}"));
    let differs: Vec<String> = differs.collect();
    // A secret is not in the text.
    if differs.is_empty() { vec!["broker".to_owned()] } else { differs }
}

/// The broker without what can change while it runs.
fn listeners(config: &Config) -> Option<broker::config::Config> {
    let broker = config.broker.clone()?;
    let mut listeners = broker;
    listeners.take_reloaded(&broker::config::Config::default());
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
        let mut newer = new.clone();
        let broker = newer.broker.as_mut().unwrap();
        broker.max_clients += 1;
        broker.users.insert("lounge".to_owned(), broker::config::User::default());
        assert_eq!(restart_needed(&new, &newer), ["broker.max_clients"]);
    }
}
