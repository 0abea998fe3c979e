//! The trait of a kind of adapter, implemented once in the kind's folder.
//!
//! A kind defines its table of `gateway.toml`, the keys that it adds to `[devices.*]` and to actions, its checks, secrets and
//! probes of the machine, and its construction. The rest of the gateway only uses [`crate::Adapters`].

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::path::Path;

use codecs::CodecTable;
use gateway_core::files::Files;
use gateway_core::findings::{KeyPath, Report};
use gateway_core::listener::Listener;
use gateway_core::ports::{Adapter, Message};
use gateway_core::settings::{BuildError, TableType};
use gateway_core::{AdapterId, Services};
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};

use crate::site::Site;

/// A struct that can be a table of `gateway.toml`.
pub trait Table:
    Debug + Clone + PartialEq + Serialize + DeserializeOwned + JsonSchema + Send + Sync + 'static
{
}
impl<T> Table for T where
    T: Debug + Clone + PartialEq + Serialize + DeserializeOwned + JsonSchema + Send + Sync + 'static
{
}

/// For a kind that adds no keys to a table.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NoKeys {}

/// One kind of adapter, such as all that is configured by `[adapters.mqtt.*]`.
///
/// Its functions are called in this order: [`Self::read_files`], [`Self::read_device_files`], [`Self::check`] and
/// [`Self::check_action`] when a configuration is loaded; [`Self::probe`] by `riser check`; [`Self::prepare`],
/// [`Self::build`] and [`Self::message`] when it comes into force.
pub trait AdapterKind: Debug + Clone + PartialEq + Send + Sync + Sized + 'static {
    /// The level in `[adapters.<NAME>.*]`: lower-case letters.
    const NAME: &'static str;
    /// The name for people.
    const LABEL: &'static str;
    /// The text above its tables in the reference and the example.
    const DOC: &'static str;
    /// The keys that an action needs, for error messages about other keys: "sends to a `topic`".
    const TARGET: &'static str;

    /// What the `payload` of an action may be, for the reference.
    const PAYLOAD_DOC: &'static str = "";

    /// One table `[adapters.<NAME>.<name>]`.
    type Table: Table;
    /// The keys that it adds to `[devices.*]`.
    type DeviceKeys: Table + Default;
    /// The keys that it adds to an action, beside `adapter` and `payload`.
    type Target: Table;

    /// The structs within [`Self::Table`] and [`Self::DeviceKeys`] that are tables themselves.
    fn nested_tables() -> Vec<TableType> {
        Vec::new()
    }

    /// The entry in the generated example.
    fn example() -> Example;

    /// Resolves the paths in a table relative to the configuration's folder, and reads secrets from files.
    fn read_files(_table: &mut Self::Table, _path: &KeyPath, _files: &mut Files<'_>) {}

    /// As [`Self::read_files`], for the keys of a device.
    fn read_device_files(_keys: &mut Self::DeviceKeys, _path: &KeyPath, _files: &mut Files<'_>) {}

    /// Warns if `file`, the configuration itself, contains a secret and every user can read it.
    fn check_own_file(_table: &Self::Table, _path: &KeyPath, _file: &Path, _report: &mut Report) {}

    /// Another address of a device besides its `address`.
    fn device_address(_keys: &Self::DeviceKeys) -> Option<String> {
        None
    }

    /// Reports everything that is wrong with the tables of this kind, and with its keys of devices. Opens no socket.
    fn check(all: &Configured<Self>, site: &Site<'_>, report: &mut Report);

    /// Reports everything that is wrong with an action.
    fn check_action(action: &Action<'_, Self>, all: &Configured<Self>, site: &Site<'_>, report: &mut Report);

    /// The message of an action. `None` if [`Self::check_action`] refuses it.
    ///
    /// # Errors
    /// A file that it needs cannot be read any more.
    fn message(
        action: &Action<'_, Self>,
        all: &Configured<Self>,
        context: &mut BuildContext<'_>,
    ) -> Result<Option<Message>, BuildError>;

    /// The messages that carry a command from the cloud to a device, through the adapter `name`, with table `table`. Each is
    /// checked and made as an action is.
    ///
    /// # Errors
    /// Why this adapter cannot send it, for people.
    fn command(_table: &Self::Table, _order: &Order<'_>) -> Result<Vec<OrderMessage>, String> {
        Err(format!("{} adapters carry no commands", Self::LABEL))
    }

    /// The addresses that an adapter listens on; `path` is that of its table.
    fn listeners(_table: &Self::Table, _path: &KeyPath) -> Vec<Listener> {
        Vec::new()
    }

    /// Warns about anything that an adapter needs and the machine lacks, except its [listeners](Self::listeners). May take some seconds.
    fn probe(_table: &Self::Table, _path: &KeyPath, _report: &mut Report) {}

    /// Runs before any adapter of any kind is built, also if no adapter of this kind is configured.
    ///
    /// # Errors
    /// The configuration cannot be used although it passed its checks.
    fn prepare(_all: &Configured<Self>, _context: &mut BuildContext<'_>) -> Result<(), BuildError> {
        Ok(())
    }

    /// How to make the adapter `id` from `table`; `all` contains it and the other adapters of the kind.
    ///
    /// # Errors
    /// The configuration cannot be used although it passed its checks.
    fn build(
        id: &AdapterId,
        table: &Self::Table,
        all: &Configured<Self>,
        context: &mut BuildContext<'_>,
    ) -> Result<Blueprint, BuildError>;
}

/// All that is configured for one kind.
#[derive(Debug, Clone, PartialEq)]
pub struct Configured<K: AdapterKind> {
    /// Its adapters by their names.
    pub adapters: BTreeMap<String, K::Table>,
    /// Its keys of devices, by the devices' names; devices without any of them are left out.
    pub devices: BTreeMap<String, K::DeviceKeys>,
}

impl<K: AdapterKind> Default for Configured<K> {
    fn default() -> Self {
        Self { adapters: BTreeMap::new(), devices: BTreeMap::new() }
    }
}

/// An action of an alert.
#[derive(Debug)]
pub struct Action<'a, K: AdapterKind> {
    /// Its position in the configuration.
    pub path: KeyPath,
    /// The name of its adapter: `floor`.
    pub adapter: &'a str,
    /// The kind's own keys.
    pub target: K::Target,
    /// The payload as text.
    pub payload: &'a str,
}

/// A command from the cloud to a device.
#[derive(Debug, Clone, Copy)]
pub struct Order<'a> {
    /// As `[devices.*]` names it.
    pub device: &'a str,
    /// As it names itself.
    pub address: &'a str,
    /// What is to be set.
    pub values: &'a Map<String, Json>,
}

impl Order<'_> {
    /// The values as a JSON object.
    #[must_use]
    pub fn json(&self) -> String {
        serde_json::to_string(self.values).unwrap_or_default()
    }
}

/// A message of a command, with an action's keys.
#[derive(Debug, Clone, PartialEq)]
pub struct OrderMessage {
    /// The kind's own keys.
    pub keys: Map<String, Json>,
    /// As in an action.
    pub payload: String,
}

/// The entry of a kind in the generated example.
#[derive(Debug, Clone, Default)]
pub struct Example {
    /// The name of the adapter: `floor` in `[adapters.mqtt.floor]`.
    pub name: &'static str,
    /// Whether it is enabled there.
    pub on: bool,
    /// Keys with other values than the defaults.
    pub values: Vec<(&'static str, Json)>,
    /// An action through it.
    pub action: Option<Json>,
    /// Names for `*` in nested tables: `("psk", "sensor01")`.
    pub names: &'static [(&'static str, &'static str)],
}

/// The arguments for building adapters.
pub struct BuildContext<'a> {
    /// The rest of the configuration.
    pub site: &'a Site<'a>,
    /// The codecs in use.
    pub codecs: &'a mut CodecTable,
    /// Services of the gateway.
    pub services: &'a Services,
}

/// Makes a new adapter.
pub type Make = Box<dyn Fn() -> Box<dyn Adapter> + Send + Sync>;

/// How to make an adapter; equal fingerprints make equal adapters.
pub struct Blueprint {
    /// Which adapter.
    pub id: AdapterId,
    /// Compared at a reload: an adapter with the same fingerprint keeps running.
    pub fingerprint: u64,
    /// Makes it.
    pub make: Make,
}

impl Blueprint {
    /// `settings` is the text of all settings of the adapter, including secrets.
    pub fn new<A: Adapter + 'static>(
        id: &AdapterId,
        settings: &str,
        make: impl Fn(AdapterId) -> A + Send + Sync + 'static,
    ) -> Self {
        let make_id = id.clone();
        Self {
            id: id.clone(),
            fingerprint: gateway_core::fingerprint(settings),
            make: Box::new(move || Box::new(make(make_id.clone()))),
        }
    }
}
