//! Writes records to collections of MongoDB: one document each, with the record's id as `_id`.
//!
//! Guarantees: a record that is written again changes nothing, and an aggregate is replaced only by a higher revision. A record
//! that the server refuses is dropped alone and named in the log. A record counts as written when most members of a replica
//! set have it in their journals.

pub mod config;
mod document;
mod server;

use std::sync::Arc;

use async_trait::async_trait;
use gateway_core::files::{Files, check_ca};
use gateway_core::findings::{KeyPath, Report};
use gateway_core::ports::Clock;
use gateway_core::settings::{BuildError, TableType};
use outbox::Lane;

use self::config::{Collections, Config};
use self::server::Server;
use crate::kind::{Example, Send, SinkKind, Start, check_login};
use crate::sink::{Item, Limits, Outcome, Sink, WriteError};

/// The kind `mongodb`.
#[derive(Debug, Clone, PartialEq)]
pub struct Mongodb;

impl SinkKind for Mongodb {
    const NAME: &'static str = "mongodb";
    const LABEL: &'static str = "MongoDB";
    const DOC: &'static str = "MongoDB databases: each record is a document.";
    const SECRETS: &'static [&'static str] = &["password"];

    type Table = Config;

    fn nested_tables() -> Vec<TableType> {
        vec![TableType::of::<Collections>()]
    }

    fn example() -> Example {
        let values = vec![("url", "mongodb://localhost:27017".into()), ("database", "building".into())];
        Example { name: "lab", values }
    }

    fn read_files(table: &mut Config, path: &KeyPath, files: &mut Files<'_>) {
        files.resolve([&mut table.ca_file]);
        files.password(path, &mut table.password, &mut table.password_file);
    }

    fn check(table: &Config, path: &KeyPath, report: &mut Report) {
        check_ca(report, path, table.ca_file.as_deref());
        if let Err(why) = server::parse(&table.url) {
            report.error(&path.key("url"), why);
        }
        let password = (table.password.as_ref(), table.password_file.as_ref());
        check_login(table.username.as_ref(), password, path, report);
        let name = &table.database;
        if name.is_empty()
            || name.len() > 63
            || name.contains(|c: char| c.is_whitespace() || "/\\.\"$*<>:|?\0".contains(c))
        {
            report.error(&path.key("database"), "is no name of a database");
        }
        for lane in Lane::ALL {
            let name = table.collections.of(lane);
            if name.is_empty() || name.starts_with("system.") || name.contains(['$', '\0']) {
                report.error(&path.key("collections"), format!("{name:?} is no name of a collection"));
            }
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
        Limits { records: 2_000, bytes: 2 * 1024 * 1024, ..Limits::default() }
    }

    fn build(path: &KeyPath, table: &Config, _clock: &Arc<dyn Clock>) -> Result<Box<dyn Sink>, BuildError> {
        let failed = |reason| BuildError { key: path.key("url").to_string(), reason };
        let server = Server::new(table).map_err(failed)?;
        Ok(Box::new(MongodbSink { server }))
    }
}

/// Writes batches to one database.
struct MongodbSink {
    server: Server,
}

#[async_trait]
impl Sink for MongodbSink {
    async fn write(&mut self, batch: &[Item]) -> Result<Vec<Outcome>, WriteError> {
        self.server.write(batch).await
    }
}
