//! Writes records to InfluxDB 1, 2 and 3 (and servers with the same interface, such as VictoriaMetrics) as line protocol.
//!
//! Guarantees: a point that is written again replaces itself, because its tags and time are the same. A record that the
//! server refuses (a type conflict of one field, for instance) is found, dropped alone and named in the log; the rest of the
//! batch is written.

pub mod config;
mod line;
mod server;

use async_trait::async_trait;
use gateway_core::files::Files;
use gateway_core::findings::{KeyPath, Report};
use gateway_core::ports::Clock;
use gateway_core::settings::BuildError;
use record::Record;
use std::collections::BTreeMap;
use std::sync::Arc;

use self::config::Config;
use self::line::Format;
use self::server::Server;
use crate::http_client::check_server;
use crate::kind::{Example, Send, SinkKind, Start, check_login};
use crate::sink::{Item, Limits, Outcome, Sink, WriteError};

/// The kind `influxdb`.
#[derive(Debug, Clone, PartialEq)]
pub struct Influxdb;

impl SinkKind for Influxdb {
    const NAME: &'static str = "influxdb";
    const LABEL: &'static str = "InfluxDB";
    const DOC: &'static str =
        "Databases that take InfluxDB's line protocol: InfluxDB 1, 2 and 3, VictoriaMetrics.";
    const SECRETS: &'static [&'static str] = &["password", "token"];

    type Table = Config;

    fn example() -> Example {
        let values = vec![("url", "http://localhost:8086".into()), ("database", "building".into())];
        Example { name: "local", values }
    }

    fn read_files(table: &mut Config, path: &KeyPath, files: &mut Files<'_>) {
        files.resolve([&mut table.ca_file]);
        files.password(path, &mut table.password, &mut table.password_file);
        files.secret(path, "token", &mut table.token, &mut table.token_file);
    }

    fn check(table: &Config, path: &KeyPath, report: &mut Report) {
        let login = "username and password_file, or token_file";
        check_server(&table.url, table.ca_file.as_deref(), path, login, report);
        check_place(table, path, report);
        check_version_login(table, path, report);
        Send::check(&table.send, path, report);
        if table.measurement.is_some() && table.send.len() != 1 {
            report.error(
                &path.key("measurement"),
                "stands for one kind of record: write exactly one into `send`",
            );
        }
        if table.measurement.as_ref().is_some_and(String::is_empty) {
            report.error(&path.key("measurement"), "is empty");
        }
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
        let usual = |usual: &str| table.measurement.clone().unwrap_or_else(|| usual.to_owned());
        let format = Format {
            aggregates: usual("aggregates"),
            alerts: usual("alerts"),
            readings: usual("readings"),
            timestamp: table.timestamp,
        };
        Ok(Box::new(InfluxdbSink { server, format }))
    }
}

/// The keys that say where in the server.
fn check_place(table: &Config, path: &KeyPath, report: &mut Report) {
    let keys = [("database", &table.database), ("org", &table.org), ("bucket", &table.bucket)];
    for (name, value) in keys {
        let belongs = if name == "database" { table.version != 2 } else { table.version == 2 };
        let version = table.version;
        match value {
            None if belongs => report.error(&path.key(name), format!("missing; version {version} needs it")),
            Some(text) if belongs && text.is_empty() => report.error(&path.key(name), "is empty"),
            Some(_) if !belongs => report.error(&path.key(name), format!("is not for version {version}")),
            _ => {}
        }
    }
}

fn check_version_login(table: &Config, path: &KeyPath, report: &mut Report) {
    let has_token = table.token.is_some() || table.token_file.is_some();
    let has_password = table.password.is_some() || table.password_file.is_some();
    if table.version == 1 && has_token {
        report.error(&path.key("token_file"), "is not for version 1, which has username and password_file");
    }
    if table.version != 1 && (table.username.is_some() || has_password) {
        let version = table.version;
        report.error(&path.key("username"), format!("is not for version {version}, which has token_file"));
    }
    if table.version == 1 {
        let password = (table.password.as_ref(), table.password_file.as_ref());
        check_login(table.username.as_ref(), password, path, report);
    }
    if table.version == 2 && !has_token {
        report.error(&path.key("token_file"), "missing; version 2 needs it");
    }
}

/// How often one write sends what is left of a batch after lines of it were refused.
const MAX_ATTEMPTS: usize = 4;

/// Whether the database has a point with this time already, which this one has replaced.
fn has_same_time(item: &Item) -> bool {
    matches!(&item.record, Record::Reading(reading) if reading.same_time)
}

/// Writes batches to one database.
struct InfluxdbSink {
    server: Server,
    format: Format,
}

#[async_trait]
impl Sink for InfluxdbSink {
    async fn write(&mut self, batch: &[Item]) -> Result<Vec<Outcome>, WriteError> {
        let lines: Vec<Option<String>> = batch.iter().map(|item| self.format.line(&item.record)).collect();
        let mut refused: BTreeMap<usize, String> = BTreeMap::new();
        let mut is_taken = false;
        for _ in 0..MAX_ATTEMPTS {
            let left = lines.iter().enumerate().filter(|(index, _)| !refused.contains_key(index));
            let (sent, body) = body_of(left);
            let answer = if sent.is_empty() { Vec::new() } else { self.server.write(&body).await? };
            if answer.is_empty() {
                is_taken = true;
                break;
            }
            // The answer may not list all: what is left counts as written only once it is taken without a complaint.
            let known = refused.len();
            for (number, why) in answer {
                let index = number.checked_sub(1).and_then(|place| sent.get(place));
                refused.extend(index.map(|index| (*index, why)));
            }
            if refused.len() == known {
                let reason = "the answer names lines that were not sent".to_owned();
                return Err(WriteError::Refused { reason });
            }
        }
        let outcome = |(index, item): (usize, &Item)| match (lines.get(index), refused.remove(&index)) {
            (Some(None), _) => Outcome::Never("it has no value that is a number".to_owned()),
            (_, Some(why)) => Outcome::Never(why),
            _ if !is_taken => Outcome::Later,
            _ if has_same_time(item) => Outcome::SameTime,
            _ => Outcome::Taken,
        };
        Ok(batch.iter().enumerate().map(outcome).collect())
    }
}

/// The body of a request, and which lines of the batch it has, in its order.
fn body_of<'a>(lines: impl Iterator<Item = (usize, &'a Option<String>)>) -> (Vec<usize>, String) {
    let (mut sent, mut body) = (Vec::new(), String::new());
    for (index, line) in lines {
        if let Some(line) = line {
            sent.push(index);
            body += line;
        }
    }
    (sent, body)
}
