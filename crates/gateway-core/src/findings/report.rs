//! Collects findings while a configuration is read and checked, and knows where each key stands.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::finding::{Finding, Level, Location};
use super::key_path::KeyPath;

/// Everything found so far.
#[derive(Debug, Clone, Default)]
pub struct Report {
    pub findings: Vec<Finding>,
    places: BTreeMap<KeyPath, Location>,
    /// Tables with a refused part: their missing keys are reported already.
    damaged: BTreeSet<KeyPath>,
}

impl Report {
    /// Remembers where `key` stands; a later layer's place wins.
    pub fn set_location(&mut self, key: KeyPath, place: Location) {
        self.places.insert(key, place);
    }

    /// An error at a place that is known.
    pub fn error_at(&mut self, place: &Location, key: &KeyPath, text: impl Into<String>) {
        self.push(place.clone(), Level::Error, key, text.into());
    }

    /// An error about `key`.
    pub fn error(&mut self, key: &KeyPath, text: impl Into<String>) {
        self.push(self.place_of(key), Level::Error, key, text.into());
    }

    /// A warning about `key`.
    pub fn warning(&mut self, key: &KeyPath, text: impl Into<String>) {
        self.push(self.place_of(key), Level::Warning, key, text.into());
    }

    /// An error about `key` that `table` lacks, unless part of the table was refused: then that is the mistake.
    pub fn missing(&mut self, table: &KeyPath, key: &str, text: impl Into<String>) {
        if self.is_whole(table) {
            self.error(&table.key(key), text);
        }
    }

    /// Says that something in `table` was refused.
    pub fn damage(&mut self, table: Option<KeyPath>) {
        self.damaged.extend(table);
    }

    /// Whether nothing in `table` was refused.
    pub fn is_whole(&self, table: &KeyPath) -> bool {
        !self.damaged.iter().any(|damaged| damaged.is_within(table))
    }

    /// Whether `key` itself stands anywhere.
    pub fn is_written(&self, key: &KeyPath) -> bool {
        self.places.contains_key(key)
    }

    /// Whether `key` itself stands in the file, and no other layer sets it.
    pub fn is_in_file(&self, key: &KeyPath) -> bool {
        matches!(self.places.get(key), Some(Location::File { .. }))
    }

    /// Warns where the secret at `key` stands in `file`, the configuration itself, and everybody can read that. One from
    /// the environment is not in the file.
    pub fn warn_of_secret(&mut self, key: &KeyPath, file: &Path) {
        if self.is_in_file(key) {
            crate::files::warn_if_public(self, key, file);
        }
    }

    /// Where `key` stands, or the nearest table around it that is written down.
    fn place_of(&self, key: &KeyPath) -> Location {
        let mut at = Some(key.clone());
        while let Some(key) = at {
            if let Some(place) = self.places.get(&key) {
                return place.clone();
            }
            at = key.parent();
        }
        Location::File { line: 1, column: 1 }
    }

    fn push(&mut self, place: Location, level: Level, key: &KeyPath, text: String) {
        self.findings.push(Finding { place, level, key: key.clone(), text });
    }
}
