//! Writes records to tables of PostgreSQL.
//!
//! Guarantees: a record that is written again changes nothing, for each table has a key, and an aggregate is replaced only by
//! a higher revision. A record that the database refuses (a value out of range, for instance) is found, dropped alone and
//! named in the log; the rest of its batch is written. A batch is written by one statement: all of it or nothing.

pub mod config;
mod rows;
mod server;
mod stream;
mod tables;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use async_trait::async_trait;
use gateway_core::files::{Files, check_ca};
use gateway_core::findings::{KeyPath, Report};
use gateway_core::ports::Clock;
use gateway_core::settings::BuildError;
use outbox::Lane;

use self::config::Config;
use self::server::Server;
use crate::kind::{Example, Send, SinkKind, Start, check_login};
use crate::sink::{Item, Limits, Outcome, Sink, WriteError};

/// PostgreSQL cuts longer names.
const MAX_NAME_BYTES: usize = 63;

/// The kind `postgres`.
#[derive(Debug, Clone, PartialEq)]
pub struct Postgres;

impl SinkKind for Postgres {
    const NAME: &'static str = "postgres";
    const LABEL: &'static str = "PostgreSQL";
    const DOC: &'static str = "PostgreSQL databases: aggregates, readings and alerts in a table each.";
    const SECRETS: &'static [&'static str] = &["password"];

    type Table = Config;

    fn example() -> Example {
        let values = vec![("url", "postgres://localhost:5432/building".into()), ("username", "riser".into())];
        Example { name: "building", values }
    }

    fn read_files(table: &mut Config, path: &KeyPath, files: &mut Files<'_>) {
        files.resolve([&mut table.ca_file]);
        files.password(path, &mut table.password, &mut table.password_file);
    }

    fn check(table: &Config, path: &KeyPath, report: &mut Report) {
        check_ca(report, path, table.ca_file.as_deref());
        if let Err(why) = server::parse(table) {
            report.error(&path.key("url"), why);
        }
        let password = (table.password.as_ref(), table.password_file.as_ref());
        check_login(table.username.as_ref(), password, path, report);
        let name = &table.schema;
        if name.is_empty() || name.len() > MAX_NAME_BYTES || name.contains('\0') {
            report.error(&path.key("schema"), "is no name of a schema: it has 1 to 63 bytes");
        }
        Send::check(&table.send, path, report);
    }

    fn probe(table: &Config, path: &KeyPath, report: &mut Report) {
        let Ok(server) = Server::new(table) else { return };
        crate::probe::run(server.probe(), path, "url", report);
    }

    fn send(table: &Config) -> &[Send] {
        &table.send
    }

    fn start(table: &Config) -> Start {
        table.start
    }

    fn limits(_table: &Config) -> Limits {
        Limits { records: 5_000, bytes: 4 * 1024 * 1024, ..Limits::default() }
    }

    fn build(path: &KeyPath, table: &Config, _clock: &Arc<dyn Clock>) -> Result<Box<dyn Sink>, BuildError> {
        let failed = |reason| BuildError { key: path.key("url").to_string(), reason };
        let server = Server::new(table).map_err(failed)?;
        Ok(Box::new(PostgresSink { server }))
    }
}

/// Writes batches to one database.
struct PostgresSink {
    server: Server,
}

#[async_trait]
impl Sink for PostgresSink {
    async fn write(&mut self, batch: &[Item]) -> Result<Vec<Outcome>, WriteError> {
        let lane = batch.first().map_or(Lane::Aggregates, |item| item.lane);
        let rows = rows::of(lane, batch);
        self.server.insert(lane, &rows).await?;
        Ok(vec![Outcome::Taken; batch.len()])
    }
}
