//! The table of codecs in use: each is made once and has a number.

use std::sync::Arc;

use gateway_core::settings::BuildError;
use gateway_core::{CodecId, fingerprint};

use crate::ble::{Ble, Keys, Kind};
use crate::javascript::Engine;
use crate::{Codec, file};

/// The codecs in use. The table only grows, so that an uplink in flight keeps its codec during a reload.
#[derive(Debug, Default)]
pub struct CodecTable {
    known: Vec<(Source, Arc<Codec>)>,
    engine: Engine,
    advertisements: Advertisements,
}

/// What all codecs of advertisements share.
#[derive(Debug)]
struct Advertisements {
    ble: Ble,
    /// The fingerprint of the keys.
    keys: u64,
}

impl Default for Advertisements {
    fn default() -> Self {
        Self { ble: Ble::new(Keys::new()), keys: 0 }
    }
}

/// The source of a codec.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Source {
    BuiltIn {
        format: String,
        columns: Vec<String>,
        timezone: Option<String>,
    },
    /// A file. Only devices name it, not uplinks: a changed file replaces the old codec under the same number.
    File {
        file: String,
        text: u64,
    },
    /// `node` with a device's key, by the fingerprint of the key.
    SealedNode {
        key: u64,
    },
    /// Advertisements. With other keys it also replaces the old codec under the same number.
    Advertisements {
        format: String,
        keys: u64,
    },
}

impl Source {
    fn is_file(&self, file: &str) -> bool {
        matches!(self, Self::File { file: known, .. } if known == file)
    }

    fn is_of_advertisements(&self, format: &str) -> bool {
        matches!(self, Self::Advertisements { format: known, .. } if known == format)
    }
}

impl CodecTable {
    pub fn id(
        &mut self,
        format: &str,
        columns: &[String],
        timezone: Option<&str>,
    ) -> Result<CodecId, BuildError> {
        let kind = Kind::named(format);
        if format == "ble" || kind.is_some() {
            return self.of_advertisements(format, kind);
        }
        let source = Source::BuiltIn {
            format: format.to_owned(),
            columns: columns.to_vec(),
            timezone: timezone.map(str::to_owned),
        };
        if let Some(index) = self.known.iter().position(|(known, _)| *known == source) {
            return number(index);
        }
        let options = crate::Options { columns: columns.to_vec(), timezone: time_zone(timezone)? };
        let codec = Codec::by_name(format, &options).map_err(|error| BuildError::new(format, &error))?;
        self.known.push((source, Arc::new(codec)));
        number(self.known.len() - 1)
    }

    /// Sets the keys of devices that encrypt, and their fingerprint.
    pub fn set_keys(&mut self, (keys, fingerprint): (Keys, u64)) {
        let Advertisements { ble, keys: known, .. } = &mut self.advertisements;
        if *known != fingerprint {
            (*ble, *known) = (ble.with_keys(keys), fingerprint);
        }
    }

    fn of_advertisements(&mut self, format: &str, kind: Option<Kind>) -> Result<CodecId, BuildError> {
        let Advertisements { ble, keys, .. } = &self.advertisements;
        let source = Source::Advertisements { format: format.to_owned(), keys: *keys };
        if let Some(index) = self.known.iter().position(|(known, _)| *known == source) {
            return number(index);
        }
        let codec = Arc::new(Codec::ble(kind.map_or_else(|| ble.clone(), |kind| ble.only(kind))));
        let place = self.known.iter().position(|(known, _)| known.is_of_advertisements(format));
        self.put(place, source, codec)
    }

    /// `node` for a device whose frames are sealed with the key of these hexadecimal digits.
    ///
    /// # Errors
    /// If they are no key.
    pub fn sealed_node(&mut self, digits: &str) -> Result<CodecId, BuildError> {
        let key = digits.parse().map_err(|error| BuildError::new("devices.*.node_key_file", &error))?;
        let source = Source::SealedNode { key: fingerprint(digits) };
        let place = self.known.iter().position(|(known, _)| *known == source);
        match place {
            Some(index) => number(index),
            None => self.put(None, source, Arc::new(Codec::sealed_node(key))),
        }
    }

    /// Replaces a codec, or appends a new one.
    fn put(
        &mut self,
        place: Option<usize>,
        source: Source,
        codec: Arc<Codec>,
    ) -> Result<CodecId, BuildError> {
        match place {
            Some(index) => {
                self.known.splice(index..=index, [(source, codec)]);
                number(index)
            }
            None => {
                self.known.push((source, codec));
                number(self.known.len() - 1)
            }
        }
    }

    /// `[devices.*] codec`: a built-in's name, or a file.
    pub fn of_device(&mut self, codec: &str, timezone: Option<&str>) -> Result<CodecId, BuildError> {
        match Codec::is_file(codec) {
            true => self.file(codec),
            false => self.id(codec, &[], timezone),
        }
    }

    /// The codec in a file, as the file is now. An unchanged codec keeps its list of devices that make it loop.
    fn file(&mut self, file: &str) -> Result<CodecId, BuildError> {
        let broken = |problems: Vec<String>| BuildError {
            key: "[devices.*] codec".to_owned(),
            reason: problems.join("\n"),
        };
        let text = file::read(file).map_err(|why| broken(vec![why]))?;
        let source = Source::File { file: file.to_owned(), text: fingerprint(&text) };
        if let Some(index) = self.known.iter().position(|(known, _)| *known == source) {
            return number(index);
        }
        let codec = Arc::new(file::compile(file, &text, &self.engine).map_err(broken)?);
        let place = self.known.iter().position(|(known, _)| known.is_file(file));
        self.put(place, source, codec)
    }

    /// The codec with that number.
    pub fn get(&self, id: CodecId) -> Option<Arc<Codec>> {
        self.known.get(usize::from(id.0)).map(|(_, codec)| Arc::clone(codec))
    }

    /// All codecs, by [`CodecId`].
    pub fn all(&self) -> Vec<Arc<Codec>> {
        self.known.iter().map(|(_, codec)| Arc::clone(codec)).collect()
    }
}

fn number(index: usize) -> Result<CodecId, BuildError> {
    u16::try_from(index).map(CodecId).map_err(|error| BuildError::new("adapters", &error))
}

fn time_zone(name: Option<&str>) -> Result<jiff::tz::TimeZone, BuildError> {
    match name {
        Some(name) => {
            jiff::tz::TimeZone::get(name).map_err(|error| BuildError::new("gateway.timezone", &error))
        }
        None => Ok(jiff::tz::TimeZone::system()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_file_takes_the_old_ones_place_and_an_unchanged_one_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.js");
        let file = path.to_str().unwrap();
        let mut table = CodecTable::default();
        let codec = |table: &CodecTable| Arc::clone(&table.all()[1]);

        table.id("json", &[], Some("UTC")).unwrap();
        std::fs::write(&path, "function Decoder(bytes, port) { return {a: 1} }").unwrap();
        assert_eq!(table.file(file).unwrap(), CodecId(1));
        let first = codec(&table);
        assert_eq!(table.file(file).unwrap(), CodecId(1));
        assert!(Arc::ptr_eq(&first, &codec(&table)), "it has not changed");

        std::fs::write(&path, "function Decoder(bytes, port) {\n  return {;\n}").unwrap();
        let error = table.file(file).unwrap_err().to_string();
        assert!(error.contains("a.js:2:"), "{error}");
        assert!(Arc::ptr_eq(&first, &codec(&table)), "a broken file replaces nothing");

        std::fs::write(&path, "function Decoder(bytes, port) { return {a: 2} }").unwrap();
        assert_eq!(table.file(file).unwrap(), CodecId(1));
        assert!(!Arc::ptr_eq(&first, &codec(&table)));
        assert_eq!(table.all().len(), 2);
    }
}
