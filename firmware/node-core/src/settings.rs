//! What commands of the gateway changed: the interval and thresholds. Kept over restarts as far as the store lasts.

use heapless::LinearMap;
use wire::Tag;
use wire::command::Command;

use crate::board::{MAX_READINGS, MAX_VALUE, Store};

/// The key of the settings in the store.
const KEY: u8 = 1;

#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Settings {
    /// Seconds; 0: as the node was built.
    interval: u16,
    /// By the byte of the tag.
    thresholds: LinearMap<u8, u32, MAX_READINGS>,
}

impl Settings {
    /// What the store has; what cannot be read is as the node was built.
    pub(crate) async fn load(store: &mut impl Store) -> Self {
        let mut buffer = [0; MAX_VALUE];
        let mut settings = Self::default();
        if let Ok(Some(length)) = store.load(KEY, &mut buffer).await {
            for command in wire::command::decode(buffer.get(..length).unwrap_or_default()) {
                settings.apply(command);
            }
        }
        settings
    }

    /// Saves them in the form of the commands that lead to them.
    pub(crate) async fn save(&self, store: &mut impl Store) {
        let mut commands = heapless::Vec::<Command, { MAX_READINGS + 1 }>::new();
        let interval = Command::Interval(self.interval);
        let thresholds = self
            .thresholds
            .iter()
            .filter_map(|(tag, raw)| Some(Command::Threshold { tag: Tag::from_byte(*tag)?, raw: *raw }));
        commands.extend(core::iter::once(interval).chain(thresholds));
        let mut buffer = [0; 1 + 3 + 6 * MAX_READINGS];
        if let Ok(length) = wire::command::encode(&commands, &mut buffer) {
            // A store that does not last keeps them until the restart only.
            let _ = store.save(KEY, buffer.get(..length).unwrap_or_default()).await;
        }
    }

    /// Returns whether something changed.
    pub(crate) fn apply(&mut self, command: Command) -> bool {
        let before = self.clone();
        match command {
            Command::Interval(seconds) => self.interval = seconds,
            Command::Threshold { tag, raw } => {
                // A node has no more sensors than this.
                let _ = self.thresholds.insert(tag.to_byte(), raw);
            }
            Command::Reboot => {}
        }
        *self != before
    }

    /// Seconds, if a command set it.
    pub(crate) fn interval(&self) -> Option<u32> {
        Some(u32::from(self.interval)).filter(|seconds| *seconds > 0)
    }

    pub(crate) fn threshold(&self, tag: Tag) -> Option<u32> {
        self.thresholds.get(&tag.to_byte()).copied()
    }
}
