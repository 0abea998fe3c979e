//! The trait of a kind of sink, implemented once in the kind's folder.
//!
//! A kind defines its table of `gateway.toml`, its checks and probes, its secrets, and how it is built. The rest of the
//! gateway only uses [`crate::Sinks`].

use std::fmt::Debug;
use std::path::PathBuf;
use std::sync::Arc;

use gateway_core::files::Files;
use gateway_core::findings::{KeyPath, Report};
use gateway_core::ports::Clock;
use gateway_core::settings::{BuildError, Secret, TableType};
use outbox::{Lane, PerLane};
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use crate::sink::{Limits, Sink};

/// A struct that can be a table of `gateway.toml`.
pub trait Table:
    Debug + Clone + PartialEq + Serialize + DeserializeOwned + JsonSchema + std::marker::Send + Sync + 'static
{
}
impl<T> Table for T where
    T: Debug
        + Clone
        + PartialEq
        + Serialize
        + DeserializeOwned
        + JsonSchema
        + std::marker::Send
        + Sync
        + 'static
{
}

/// What a sink may be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "Send")]
pub enum Send {
    /// The aggregates of devices and zones.
    Aggregates,
    /// Alerts raised and cleared.
    Alerts,
    /// Every reading.
    Readings,
}

impl Send {
    /// The default of `send`.
    #[must_use]
    pub fn usual() -> Vec<Send> {
        vec![Send::Aggregates, Send::Alerts]
    }

    /// Checks the key `send` of a table.
    pub fn check(send: &[Send], table: &KeyPath, report: &mut Report) {
        if send.is_empty() {
            let why = "is empty; write at least one of \"aggregates\", \"alerts\", \"readings\"";
            report.error(&table.key("send"), why);
        }
    }

    pub(crate) const fn lane(self) -> Lane {
        match self {
            Send::Aggregates => Lane::Aggregates,
            Send::Alerts => Lane::Alerts,
            Send::Readings => Lane::Readings,
        }
    }

    /// The lanes of the outbox that these are in.
    #[must_use]
    pub fn lanes(send: &[Send]) -> PerLane<bool> {
        PerLane::from_fn(|lane| send.iter().any(|one| one.lane() == lane))
    }
}

/// Reports a password without a user.
pub(crate) fn check_login(
    username: Option<&String>,
    (password, password_file): (Option<&Secret>, Option<&PathBuf>),
    table: &KeyPath,
    report: &mut Report,
) {
    if username.is_none() && (password.is_some() || password_file.is_some()) {
        report.error(&table.key("password_file"), "there is no `username` that it belongs to");
    }
}

/// Where a sink begins that was not configured before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "SinkStart")]
pub enum Start {
    /// With the next record.
    #[default]
    Now,
    /// With the oldest record that the store still has.
    Oldest,
}

impl From<Start> for outbox::Start {
    fn from(start: Start) -> Self {
        match start {
            Start::Now => outbox::Start::Now,
            Start::Oldest => outbox::Start::Oldest,
        }
    }
}

/// The entry of a kind in the generated example.
#[derive(Debug, Clone, Default)]
pub struct Example {
    /// The name of the sink: `local` in `[sinks.influxdb.local]`.
    pub name: &'static str,
    /// Keys with other values than the defaults.
    pub values: Vec<(&'static str, Json)>,
}

/// One kind of sink, such as all that is configured by `[sinks.influxdb.*]`.
///
/// Its functions are called in this order: [`Self::read_files`] and [`Self::check`] when a configuration is loaded;
/// [`Self::probe`] by `riser check`; [`Self::build`] when it comes into force.
pub trait SinkKind: Debug + Clone + PartialEq + std::marker::Send + Sync + Sized + 'static {
    /// The level in `[sinks.<NAME>.*]`: lower-case letters.
    const NAME: &'static str;
    /// The name for people.
    const LABEL: &'static str;
    /// The text above its tables in the reference and the example.
    const DOC: &'static str;
    /// The keys that have a secret. One that stands in a configuration which every user can read is a warning.
    const SECRETS: &'static [&'static str] = &[];

    /// One table `[sinks.<NAME>.<name>]`.
    type Table: Table;

    /// The structs within [`Self::Table`] that are tables themselves.
    fn nested_tables() -> Vec<TableType> {
        Vec::new()
    }

    /// The entry in the generated example.
    fn example() -> Example;

    /// Resolves the paths in a table relative to the configuration's folder, and reads secrets from files.
    fn read_files(_table: &mut Self::Table, _path: &KeyPath, _files: &mut Files<'_>) {}

    /// Reports everything that is wrong with a table. Opens no socket.
    fn check(table: &Self::Table, path: &KeyPath, report: &mut Report);

    /// Warns about anything that the sink needs and that is not there now: the server, the login, the database. May take
    /// some seconds.
    fn probe(table: &Self::Table, path: &KeyPath, report: &mut Report);

    /// What it is sent.
    fn send(table: &Self::Table) -> &[Send];

    /// Where it begins if it was not configured before.
    fn start(table: &Self::Table) -> Start;

    /// How much a batch has.
    fn limits(_table: &Self::Table) -> Limits {
        Limits::default()
    }

    /// The sink whose table stands at `path`.
    ///
    /// # Errors
    /// The configuration cannot be used although it passed its checks.
    fn build(
        path: &KeyPath,
        table: &Self::Table,
        clock: &Arc<dyn Clock>,
    ) -> Result<Box<dyn Sink>, BuildError>;
}
