//! All adapters of a configuration, of all kinds.

use std::any::Any;
use std::collections::BTreeMap;
use std::fmt::{self, Debug};
use std::path::Path;

use gateway_core::AdapterId;
use gateway_core::files::Files;
use gateway_core::findings::{KeyPath, Report};
use gateway_core::listener::Listener;
use gateway_core::ports::Message;
use gateway_core::settings::{BuildError, TableType};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::{Map, Value as Json};

use crate::kind::{Action, AdapterKind, Blueprint, BuildContext, Configured, Example, Order, OrderMessage};
use crate::site::Site;

/// An action as written in the configuration; only the adapter's kind reads `keys`.
#[derive(Debug, Clone, Copy)]
pub struct RawAction<'a> {
    /// `mqtt.floor`.
    pub adapter: &'a str,
    /// What is sent.
    pub payload: &'a str,
    /// The other keys.
    pub keys: &'a Map<String, Json>,
}

/// A kind as the configuration crate sees it.
pub trait KindInfo: Send + Sync {
    /// `mqtt`.
    fn name(&self) -> &'static str;
    /// The text above its tables in the reference.
    fn doc(&self) -> &'static str;
    /// A description of the `payload` of an action.
    fn payload_doc(&self) -> &'static str;
    /// The entry in the example.
    fn example(&self) -> Example;
    /// The keys that it adds to `[devices.*]`.
    fn device_keys(&self) -> TableType;
    /// The schema of its tables, and the keys that it adds to devices and actions.
    fn schemas(&self, generator: &mut SchemaGenerator) -> KindSchemas;
    /// The structs behind the schemas.
    fn table_types(&self) -> Vec<TableType>;
    /// A configuration without adapters of this kind.
    fn empty(&self) -> Box<dyn ConfiguredKind>;
    /// Reads its tables and its keys of devices. The values fit the schemas.
    ///
    /// # Errors
    /// The key and the problem.
    fn read(&self, tables: KindTables) -> Result<Box<dyn ConfiguredKind>, (KeyPath, String)>;
}

/// The schemas of a kind.
#[derive(Debug)]
pub struct KindSchemas {
    /// `[adapters.<kind>.<name>]`.
    pub table: Schema,
    /// Its keys of `[devices.*]`: an object.
    pub device: Schema,
    /// Its keys of an action: an object.
    pub target: Schema,
}

/// The values of a kind as written in the configuration.
#[derive(Default)]
pub struct KindTables {
    /// By the names of the adapters.
    pub adapters: BTreeMap<String, Json>,
    /// By the names of the devices.
    pub devices: BTreeMap<String, Map<String, Json>>,
}

/// The configuration of one kind, independent of its type.
pub trait ConfiguredKind: Any + Debug + Send + Sync {
    /// `mqtt`.
    fn kind(&self) -> &'static str;
    /// The names of its adapters.
    fn names(&self) -> Vec<&str>;
    /// See [`AdapterKind::read_files`] and [`AdapterKind::read_device_files`].
    fn read_files(&mut self, files: &mut Files<'_>);
    /// Addresses of devices, with their names: see [`AdapterKind::device_address`].
    fn addresses(&self) -> Vec<(String, String)>;
    /// See [`AdapterKind::check`].
    fn check(&self, site: &Site<'_>, report: &mut Report);
    /// See [`AdapterKind::check_own_file`].
    fn check_own_file(&self, file: &Path, report: &mut Report);
    /// See [`AdapterKind::check_action`].
    fn check_action(&self, path: &KeyPath, action: RawAction<'_>, site: &Site<'_>, report: &mut Report);
    /// See [`AdapterKind::message`].
    ///
    /// # Errors
    /// As there.
    fn message(
        &self,
        action: RawAction<'_>,
        context: &mut BuildContext<'_>,
    ) -> Result<Option<Message>, BuildError>;
    /// See [`AdapterKind::command`]: for each of its adapters by its name.
    fn command(&self, order: &Order<'_>) -> Vec<(String, Result<Vec<OrderMessage>, String>)>;
    /// See [`AdapterKind::listeners`]; of all its adapters.
    fn listeners(&self) -> Vec<Listener>;
    /// See [`AdapterKind::probe`]; of all its adapters.
    fn probe(&self, report: &mut Report);
    /// See [`AdapterKind::prepare`].
    ///
    /// # Errors
    /// As there.
    fn prepare(&self, context: &mut BuildContext<'_>) -> Result<(), BuildError>;
    /// See [`AdapterKind::build`]; of all its adapters.
    ///
    /// # Errors
    /// As there.
    fn build(&self, context: &mut BuildContext<'_>) -> Result<Vec<Blueprint>, BuildError>;
    /// A copy.
    fn boxed_clone(&self) -> Box<dyn ConfiguredKind>;
}

/// A kind in [the list](crate::kinds).
pub(crate) struct Registered<K>(pub(crate) std::marker::PhantomData<fn() -> K>);

fn path_of<K: AdapterKind>(name: &str) -> KeyPath {
    KeyPath::of("adapters").key(K::NAME).key(name)
}

impl<K: AdapterKind> KindInfo for Registered<K> {
    fn name(&self) -> &'static str {
        K::NAME
    }

    fn doc(&self) -> &'static str {
        K::DOC
    }

    fn payload_doc(&self) -> &'static str {
        K::PAYLOAD_DOC
    }

    fn example(&self) -> Example {
        K::example()
    }

    fn device_keys(&self) -> TableType {
        TableType::of::<K::DeviceKeys>()
    }

    fn schemas(&self, generator: &mut SchemaGenerator) -> KindSchemas {
        KindSchemas {
            table: generator.subschema_for::<K::Table>(),
            device: K::DeviceKeys::json_schema(generator),
            target: K::Target::json_schema(generator),
        }
    }

    fn table_types(&self) -> Vec<TableType> {
        let mut types =
            vec![TableType::of::<K::Table>(), TableType::of::<K::DeviceKeys>(), TableType::of::<K::Target>()];
        types.extend(K::nested_tables());
        types
    }

    fn empty(&self) -> Box<dyn ConfiguredKind> {
        Box::new(Configured::<K>::default())
    }

    fn read(&self, tables: KindTables) -> Result<Box<dyn ConfiguredKind>, (KeyPath, String)> {
        let mut configured = Configured::<K>::default();
        for (name, value) in tables.adapters {
            let table = read(value, &path_of::<K>(&name))?;
            configured.adapters.insert(name, table);
        }
        for (name, keys) in tables.devices {
            let keys = read(Json::Object(keys), &KeyPath::of("devices").key(&name))?;
            configured.devices.insert(name, keys);
        }
        Ok(Box::new(configured))
    }
}

/// Only what a schema cannot say is an error here.
fn read<T: serde::de::DeserializeOwned>(value: Json, table: &KeyPath) -> Result<T, (KeyPath, String)> {
    serde_path_to_error::deserialize(value).map_err(|error| {
        let within = error.path().to_string();
        let path = if within == "." {
            table.clone()
        } else {
            within.split('.').fold(table.clone(), |at, key| at.key(key))
        };
        (path, error.inner().to_string().replace('\n', " "))
    })
}

impl<K: AdapterKind> ConfiguredKind for Configured<K> {
    fn kind(&self) -> &'static str {
        K::NAME
    }

    fn names(&self) -> Vec<&str> {
        self.adapters.keys().map(String::as_str).collect()
    }

    fn read_files(&mut self, files: &mut Files<'_>) {
        for (name, table) in &mut self.adapters {
            K::read_files(table, &path_of::<K>(name), files);
        }
        for (name, keys) in &mut self.devices {
            K::read_device_files(keys, &KeyPath::of("devices").key(name), files);
        }
    }

    fn addresses(&self) -> Vec<(String, String)> {
        let address =
            |(name, keys): (&String, &K::DeviceKeys)| Some((K::device_address(keys)?, name.clone()));
        self.devices.iter().filter_map(address).collect()
    }

    fn check(&self, site: &Site<'_>, report: &mut Report) {
        K::check(self, site, report);
    }

    fn check_own_file(&self, file: &Path, report: &mut Report) {
        for (name, table) in &self.adapters {
            K::check_own_file(table, &path_of::<K>(name), file, report);
        }
    }

    fn check_action(&self, path: &KeyPath, action: RawAction<'_>, site: &Site<'_>, report: &mut Report) {
        let own = TableType::of::<K::Target>();
        let (keys, foreign): (Map<_, _>, Map<_, _>) =
            action.keys.clone().into_iter().partition(|(key, _)| own.fields.contains(&key.as_str()));
        for key in foreign.keys() {
            let why = format!("is not for {} adapters; this one {}", K::LABEL, K::TARGET);
            report.error(&path.key(key), why);
        }
        match typed::<K>(path.clone(), RawAction { keys: &keys, ..action }) {
            Ok(action) => K::check_action(&action, self, site, report),
            Err((key, why)) => report.error(&key, why),
        }
    }

    fn message(
        &self,
        action: RawAction<'_>,
        context: &mut BuildContext<'_>,
    ) -> Result<Option<Message>, BuildError> {
        let failed = |(key, reason): (KeyPath, String)| BuildError { key: key.to_string(), reason };
        let action = typed::<K>(KeyPath::of("alerts"), action).map_err(failed)?;
        K::message(&action, self, context)
    }

    fn command(&self, order: &Order<'_>) -> Vec<(String, Result<Vec<OrderMessage>, String>)> {
        let one =
            |(name, table): (&String, &K::Table)| (format!("{}.{name}", K::NAME), K::command(table, order));
        self.adapters.iter().map(one).collect()
    }

    fn listeners(&self) -> Vec<Listener> {
        self.adapters.iter().flat_map(|(name, table)| K::listeners(table, &path_of::<K>(name))).collect()
    }

    fn probe(&self, report: &mut Report) {
        for (name, table) in &self.adapters {
            K::probe(table, &path_of::<K>(name), report);
        }
    }

    fn prepare(&self, context: &mut BuildContext<'_>) -> Result<(), BuildError> {
        K::prepare(self, context)
    }

    fn build(&self, context: &mut BuildContext<'_>) -> Result<Vec<Blueprint>, BuildError> {
        let build = |(name, table): (&String, &K::Table)| {
            K::build(&AdapterId::new(K::NAME, name), table, self, context)
        };
        self.adapters.iter().map(build).collect()
    }

    fn boxed_clone(&self) -> Box<dyn ConfiguredKind> {
        Box::new(self.clone())
    }
}

fn typed<'a, K: AdapterKind>(
    path: KeyPath,
    action: RawAction<'a>,
) -> Result<Action<'a, K>, (KeyPath, String)> {
    let target = read(Json::Object(action.keys.clone()), &path)?;
    let adapter = action.adapter.split_once('.').map_or(action.adapter, |(_, name)| name);
    Ok(Action { path, adapter, target, payload: action.payload })
}

/// All adapters of a configuration, one entry for each kind that there is.
pub struct Adapters(Vec<Box<dyn ConfiguredKind>>);

impl Default for Adapters {
    /// None of any kind.
    fn default() -> Self {
        Self(crate::kinds::all().iter().map(|kind| kind.empty()).collect())
    }
}

impl Clone for Adapters {
    fn clone(&self) -> Self {
        Self(self.0.iter().map(|kind| kind.boxed_clone()).collect())
    }
}

impl Debug for Adapters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.0).finish()
    }
}

impl Adapters {
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

    /// The kind that an adapter's name begins with: `mqtt` of `mqtt.floor`, whether or not there is a `floor`.
    #[must_use]
    pub fn kind_of(&self, adapter: &str) -> Option<&dyn ConfiguredKind> {
        let (kind, _) = adapter.split_once('.')?;
        self.kinds().find(|configured| configured.kind() == kind)
    }

    /// The names of all adapters, `mqtt.floor`.
    #[must_use]
    pub fn ids(&self) -> Vec<String> {
        let ids = |kind: &dyn ConfiguredKind| -> Vec<String> {
            kind.names().iter().map(|name| format!("{}.{name}", kind.kind())).collect()
        };
        self.kinds().flat_map(ids).collect()
    }

    /// What is configured for the kind `K`.
    #[must_use]
    pub fn of<K: AdapterKind>(&self) -> Option<&Configured<K>> {
        self.kinds().find_map(|kind| (kind as &dyn Any).downcast_ref())
    }

    /// What is configured for the kind `K`, to be changed.
    pub fn of_mut<K: AdapterKind>(&mut self) -> Option<&mut Configured<K>> {
        self.0.iter_mut().find_map(|kind| (&mut **kind as &mut dyn Any).downcast_mut())
    }

    /// Adds an adapter.
    pub fn insert<K: AdapterKind>(&mut self, name: &str, table: K::Table) {
        if let Some(configured) = self.of_mut::<K>() {
            configured.adapters.insert(name.to_owned(), table);
        }
    }

    /// Adds a kind's keys of a device.
    pub fn insert_device<K: AdapterKind>(&mut self, name: &str, keys: K::DeviceKeys) {
        if let Some(configured) = self.of_mut::<K>() {
            configured.devices.insert(name.to_owned(), keys);
        }
    }
}
