//! All sinks of a configuration, of all kinds, without their types.

use std::any::Any;
use std::collections::BTreeMap;
use std::fmt::{self, Debug};
use std::marker::PhantomData;
use std::path::Path;
use std::sync::Arc;

use gateway_core::files::Files;
use gateway_core::findings::{KeyPath, Report};
use gateway_core::ports::Clock;
use gateway_core::settings::{BuildError, TableType};
use outbox::{Lane, SinkOptions};
use schemars::{Schema, SchemaGenerator};
use serde_json::{Map, Value as Json};

use crate::kind::{Example, Send, SinkKind};
use crate::sink::{Limits, Sink};

/// A kind as the configuration crate sees it.
pub trait KindInfo: std::marker::Send + Sync {
    /// `influxdb`.
    fn name(&self) -> &'static str;
    /// The text above its tables in the reference.
    fn doc(&self) -> &'static str;
    /// The entry in the example.
    fn example(&self) -> Example;
    /// The schema of `[sinks.<kind>.<name>]`.
    fn schema(&self, generator: &mut SchemaGenerator) -> Schema;
    /// The structs behind the schema.
    fn table_types(&self) -> Vec<TableType>;
    /// A configuration without sinks of this kind.
    fn empty(&self) -> Box<dyn ConfiguredKind>;
    /// Reads its tables, by name. The values fit the schema.
    ///
    /// # Errors
    /// The key and the problem.
    fn read(&self, tables: Map<String, Json>) -> Result<Box<dyn ConfiguredKind>, (KeyPath, String)>;
}

/// The configuration of one kind, independent of its type.
pub trait ConfiguredKind: Any + Debug + std::marker::Send + Sync {
    /// `influxdb`.
    fn kind(&self) -> &'static str;
    /// See [`SinkKind::read_files`].
    fn read_files(&mut self, files: &mut Files<'_>);
    /// See [`SinkKind::check`].
    fn check(&self, report: &mut Report);
    /// Warns if `file`, the configuration itself, has a secret and every user can read it: see [`SinkKind::SECRETS`].
    fn check_own_file(&self, file: &Path, report: &mut Report);
    /// See [`SinkKind::probe`].
    fn probe(&self, report: &mut Report);
    /// See [`SinkKind::build`]; of all its sinks.
    ///
    /// # Errors
    /// As there.
    fn build(&self, clock: &Arc<dyn Clock>) -> Result<Vec<Blueprint>, BuildError>;
    /// Names of its sinks, `<kind>.<name>`, what they take, and where they begin.
    fn options(&self) -> Vec<SinkOptions>;
    /// Whether the other has the same kind and the same tables.
    fn equals(&self, other: &dyn ConfiguredKind) -> bool;
    /// A copy.
    fn boxed_clone(&self) -> Box<dyn ConfiguredKind>;
}

/// A sink that is ready to run.
pub struct Blueprint {
    /// `influxdb.local`.
    pub name: String,
    /// The lanes that it takes, the most urgent first.
    pub lanes: Vec<Lane>,
    pub limits: Limits,
    pub sink: Box<dyn Sink>,
}

/// A kind in [the list](crate::kinds).
pub(crate) struct Registered<K>(pub(crate) PhantomData<fn() -> K>);

#[derive(Debug, Clone, PartialEq)]
struct Configured<K: SinkKind>(BTreeMap<String, K::Table>);

fn path_of<K: SinkKind>(name: &str) -> KeyPath {
    KeyPath::of("sinks").key(K::NAME).key(name)
}

impl<K: SinkKind> KindInfo for Registered<K> {
    fn name(&self) -> &'static str {
        K::NAME
    }

    fn doc(&self) -> &'static str {
        K::DOC
    }

    fn example(&self) -> Example {
        K::example()
    }

    fn schema(&self, generator: &mut SchemaGenerator) -> Schema {
        generator.subschema_for::<K::Table>()
    }

    fn table_types(&self) -> Vec<TableType> {
        let mut types = vec![TableType::of::<K::Table>()];
        types.extend(K::nested_tables());
        types
    }

    fn empty(&self) -> Box<dyn ConfiguredKind> {
        Box::new(Configured::<K>(BTreeMap::new()))
    }

    fn read(&self, tables: Map<String, Json>) -> Result<Box<dyn ConfiguredKind>, (KeyPath, String)> {
        let mut configured = BTreeMap::new();
        for (name, value) in tables {
            let table = serde_path_to_error::deserialize(value).map_err(|error| {
                let within = error.path().to_string();
                let keys = within.split('.').filter(|key| !key.is_empty());
                let path = keys.fold(path_of::<K>(&name), |at, key| at.key(key));
                (path, error.inner().to_string().replace('\n', " "))
            })?;
            configured.insert(name, table);
        }
        Ok(Box::new(Configured::<K>(configured)))
    }
}

impl<K: SinkKind> ConfiguredKind for Configured<K> {
    fn kind(&self) -> &'static str {
        K::NAME
    }

    fn read_files(&mut self, files: &mut Files<'_>) {
        self.0.iter_mut().for_each(|(name, table)| K::read_files(table, &path_of::<K>(name), files));
    }

    fn check(&self, report: &mut Report) {
        for (name, table) in &self.0 {
            let path = path_of::<K>(name);
            K::check(table, &path, report);
        }
    }

    fn check_own_file(&self, file: &Path, report: &mut Report) {
        for (name, key) in self.0.keys().flat_map(|name| K::SECRETS.iter().map(move |key| (name, key))) {
            report.warn_of_secret(&path_of::<K>(name).key(key), file);
        }
    }

    fn probe(&self, report: &mut Report) {
        self.0.iter().for_each(|(name, table)| K::probe(table, &path_of::<K>(name), report));
    }

    fn build(&self, clock: &Arc<dyn Clock>) -> Result<Vec<Blueprint>, BuildError> {
        let build = |(name, table): (&String, &K::Table)| {
            let takes = Send::lanes(K::send(table));
            Ok(Blueprint {
                name: format!("{}.{name}", K::NAME),
                lanes: takes.iter().filter(|(_, takes)| **takes).map(|(lane, _)| lane).collect(),
                limits: K::limits(table),
                sink: K::build(&path_of::<K>(name), table, clock)?,
            })
        };
        self.0.iter().map(build).collect()
    }

    fn options(&self) -> Vec<SinkOptions> {
        let options = |(name, table): (&String, &K::Table)| SinkOptions {
            name: format!("{}.{name}", K::NAME).into(),
            lanes: Send::lanes(K::send(table)),
            start: K::start(table).into(),
        };
        self.0.iter().map(options).collect()
    }

    fn equals(&self, other: &dyn ConfiguredKind) -> bool {
        let other: &dyn Any = other;
        other.downcast_ref::<Self>() == Some(self)
    }

    fn boxed_clone(&self) -> Box<dyn ConfiguredKind> {
        Box::new(self.clone())
    }
}

/// All sinks of a configuration beside `[upstream]`, one entry for each kind that there is.
pub struct Sinks(Vec<Box<dyn ConfiguredKind>>);

impl Default for Sinks {
    /// None of any kind.
    fn default() -> Self {
        Self(crate::kinds::all().iter().map(|kind| kind.empty()).collect())
    }
}

impl Clone for Sinks {
    fn clone(&self) -> Self {
        Self(self.0.iter().map(|kind| kind.boxed_clone()).collect())
    }
}

impl PartialEq for Sinks {
    fn eq(&self, other: &Self) -> bool {
        let in_other = |kind: &dyn ConfiguredKind| other.kinds().any(|other| kind.equals(other));
        self.0.len() == other.0.len() && self.kinds().all(in_other)
    }
}

impl Debug for Sinks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.0).finish()
    }
}

impl Sinks {
    /// Puts what was read of a kind in the place of what was there.
    pub fn set(&mut self, configured: Box<dyn ConfiguredKind>) {
        self.0.retain(|other| other.kind() != configured.kind());
        self.0.push(configured);
    }

    /// Every kind.
    pub fn kinds(&self) -> impl Iterator<Item = &dyn ConfiguredKind> {
        self.0.iter().map(|kind| &**kind)
    }

    /// Every kind, to be changed.
    pub fn kinds_mut(&mut self) -> impl Iterator<Item = &mut Box<dyn ConfiguredKind>> {
        self.0.iter_mut()
    }

    /// Names of all sinks, `<kind>.<name>`, what they take, and where they begin.
    #[must_use]
    pub fn options(&self) -> Vec<SinkOptions> {
        self.kinds().flat_map(ConfiguredKind::options).collect()
    }
}
