//! The local history of the configured gateway, read beside it where it runs.

use anomaly::multivariate::Windows;
use gateway_core::Timestamp;
use gateway_core::ports::Clock as _;
use history::{HistoryError, Store};

use crate::cli::{Exit, Failure};
use gateway_config::Config;
use pipeline::clock::SystemClock;
use pipeline::training::models::{self, Kinds};

/// What a gateway's `[history]` has stored so far.
pub(super) struct History {
    store: Store,
    kinds: Kinds,
    now: Timestamp,
}

impl History {
    pub(super) fn open(config: &Config) -> Result<Self, Failure> {
        let path = pipeline::training::local_history::path(&config.gateway.data_dir);
        if !path.exists() {
            let message = format!(
                "there is no history to train on: {} is not there; add `[history]` to the configuration and let the \
                 gateway run for some days, or give one with --history FILE (aggregates as they are published, as \
                 `riser tail aggregates --json` prints them, or readings as `riser replay` takes them)",
                path.display()
            );
            return Err(Failure::new(Exit::NoInput, message));
        }
        let store = Store::open_read_only(&path).map_err(|error| unreadable(&error))?;
        Ok(Self { store, kinds: crate::build::kinds(config), now: SystemClock.now() })
    }

    /// The devices that it has windows of, or the wanted one alone.
    pub(super) fn devices(&self, wanted: Option<&str>) -> Result<Vec<Box<str>>, Failure> {
        let mut devices = self.store.devices().map_err(|error| unreadable(&error))?;
        devices.retain(|device| wanted.is_none_or(|wanted| wanted == &**device));
        match wanted {
            _ if !devices.is_empty() => Ok(devices),
            Some(name) => Err(Failure::new(Exit::NoInput, format!("the history has no device `{name}`"))),
            None => {
                let path = self.store.path().display();
                let message = format!("{path} has no windows yet; they are stored every five minutes");
                Err(Failure::new(Exit::NoInput, message))
            }
        }
    }

    pub(super) fn windows(&self, device: &str) -> Result<Windows, Failure> {
        models::windows(&self.store, device, self.now, &self.kinds).map_err(|error| unreadable(&error))
    }
}

fn unreadable(error: &HistoryError) -> Failure {
    Failure::new(Exit::NoInput, gateway_core::chain(error))
}
