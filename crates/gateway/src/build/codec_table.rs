//! The codecs in use, each made once and known by its number.

use std::sync::Arc;

use codecs::Codec;
use gateway_core::CodecId;

use super::{BuildError, failed};

/// The codecs in use. It only grows: an uplink under way during a reload keeps its codec.
#[derive(Debug, Default)]
pub(crate) struct CodecTable {
    known: Vec<(CodecKey, Arc<Codec>)>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct CodecKey {
    format: String,
    columns: Vec<String>,
    timezone: Option<String>,
}

impl CodecTable {
    pub(super) fn id(
        &mut self,
        format: &str,
        columns: &[String],
        timezone: Option<&str>,
    ) -> Result<CodecId, BuildError> {
        let key = CodecKey {
            format: format.to_owned(),
            columns: columns.to_vec(),
            timezone: timezone.map(str::to_owned),
        };
        let index = match self.known.iter().position(|(known, _)| *known == key) {
            Some(index) => index,
            None => {
                let options =
                    codecs::Options { columns: key.columns.clone(), timezone: time_zone(timezone)? };
                let codec = Codec::by_name(format, &options).map_err(|error| failed(format, &error))?;
                self.known.push((key, Arc::new(codec)));
                self.known.len() - 1
            }
        };
        let id = u16::try_from(index).map_err(|error| failed("adapters", &error))?;
        Ok(CodecId(id))
    }

    /// All of them, by [`CodecId`].
    pub(crate) fn all(&self) -> Vec<Arc<Codec>> {
        self.known.iter().map(|(_, codec)| Arc::clone(codec)).collect()
    }
}

fn time_zone(name: Option<&str>) -> Result<jiff::tz::TimeZone, BuildError> {
    match name {
        Some(name) => jiff::tz::TimeZone::get(name).map_err(|error| failed("gateway.timezone", &error)),
        None => Ok(jiff::tz::TimeZone::system()),
    }
}
