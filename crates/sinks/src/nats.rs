//! Publishes records to a stream of NATS JetStream, as JSON.
//!
//! Guarantees: a record is acknowledged when the stream has stored it. It is in the stream once: its message id makes the
//! server drop what comes again within the stream's duplicate window, and after a start or an error the sink looks first which
//! of its batch's records the stream has already. Records of one subject are stored in their order, but one that a lost connection
//! has left out comes later.

pub mod config;
mod server;
mod stored;
mod subject;

use std::collections::HashSet;
use std::sync::Arc;

use async_trait::async_trait;
use gateway_core::files::{Files, check_ca, warn_if_public};
use gateway_core::findings::{KeyPath, Report};
use gateway_core::ports::Clock;
use gateway_core::settings::BuildError;
use outbox::{Lane, PerLane};
use record::Record;

use self::config::Config;
use self::server::{Connection, Message, Server};
use self::subject::Pattern;
use crate::kind::{Example, Send, SinkKind, Start, check_login};
use crate::sink::{Item, Outcome, Sink, WriteError};

/// The kind `nats`.
#[derive(Debug, Clone, PartialEq)]
pub struct Nats;

impl SinkKind for Nats {
    const NAME: &'static str = "nats";
    const LABEL: &'static str = "NATS";
    const DOC: &'static str = "Streams of NATS JetStream: each record is a JSON message.";
    const SECRETS: &'static [&'static str] = &["password"];

    type Table = Config;

    fn example() -> Example {
        Example { name: "events", values: vec![("url", "nats://localhost:4222".into())] }
    }

    fn read_files(table: &mut Config, path: &KeyPath, files: &mut Files<'_>) {
        files.resolve([&mut table.ca_file, &mut table.credentials_file]);
        files.password(path, &mut table.password, &mut table.password_file);
    }

    fn check(table: &Config, path: &KeyPath, report: &mut Report) {
        check_ca(report, path, table.ca_file.as_deref());
        if let Err(why) = server::addresses(&table.url) {
            report.error(&path.key("url"), why);
        }
        if let Err(why) = Pattern::parse(&table.subject) {
            report.error(&path.key("subject"), why);
        }
        let is_bad = |c: char| c.is_whitespace() || c.is_control() || ".*>/\\".contains(c);
        if table.stream.is_empty() || table.stream.contains(is_bad) {
            report.error(
                &path.key("stream"),
                "is no name of a stream: it has no white space and none of . * > / \\",
            );
        }
        let password = (table.password.as_ref(), table.password_file.as_ref());
        check_login(table.username.as_ref(), password, path, report);
        check_credentials(table, path, report);
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

    fn build(path: &KeyPath, table: &Config, _clock: &Arc<dyn Clock>) -> Result<Box<dyn Sink>, BuildError> {
        let failed = |key: &str, reason| BuildError { key: path.key(key).to_string(), reason };
        let server = Server::new(table).map_err(|reason| failed("url", reason))?;
        let pattern = Pattern::parse(&table.subject).map_err(|reason| failed("subject", reason))?;
        Ok(Box::new(NatsSink { server, pattern, connection: None, is_uncertain: PerLane::from_fn(|_| true) }))
    }
}

fn check_credentials(table: &Config, path: &KeyPath, report: &mut Report) {
    let Some(file) = &table.credentials_file else { return };
    if table.username.is_some() || table.password.is_some() || table.password_file.is_some() {
        report.error(
            &path.key("credentials_file"),
            "is there instead of username and password_file, not beside them",
        );
    }
    match server::read_credentials(file) {
        Ok(_) => warn_if_public(report, &path.key("credentials_file"), file),
        Err(why) => report.error(&path.key("credentials_file"), why),
    }
}

/// Publishes batches to one stream.
struct NatsSink {
    server: Server,
    pattern: Pattern,
    connection: Option<Connection>,
    /// Whether the stream may have records of the lane's next batch: after the start, and after a batch that was not
    /// acknowledged.
    is_uncertain: PerLane<bool>,
}

#[async_trait]
impl Sink for NatsSink {
    async fn write(&mut self, batch: &[Item]) -> Result<Vec<Outcome>, WriteError> {
        let lane = batch.first().map_or(Lane::Aggregates, |item| item.lane);
        let was_uncertain = std::mem::replace(self.is_uncertain.get_mut(lane), true);
        let connection = match self.connection.take() {
            Some(connection) => connection,
            None => self.server.open(&self.pattern).await?,
        };
        let connection = self.connection.insert(connection);
        let messages: Vec<Message> = batch.iter().map(|item| message(&self.pattern, item)).collect();
        let mut stored = vec![false; messages.len()];
        if was_uncertain {
            stored = stored::find(connection, &messages).await?;
            leave_out_replaced(batch, &mut stored);
        }
        let outcomes = connection.publish(&messages, &stored).await?;
        *self.is_uncertain.get_mut(lane) = false;
        Ok(outcomes)
    }
}

fn message(pattern: &Pattern, item: &Item) -> Message {
    let record = &item.record;
    let id = match record {
        Record::Aggregate(aggregate) => format!("{}/{}", record.id(), aggregate.revision),
        Record::Alert(_) | Record::Reading(_) => record.id(),
    };
    Message { subject: pattern.of(item.lane, record), id, payload: record.to_json(item.seq()).into() }
}

/// Leaves out lower revisions of what is stored.
fn leave_out_replaced(batch: &[Item], stored: &mut [bool]) {
    let mut replaced = HashSet::new();
    for (item, is_stored) in batch.iter().zip(stored).rev() {
        if *is_stored {
            replaced.insert(item.record.id());
        } else {
            *is_stored = replaced.contains(&item.record.id());
        }
    }
}
