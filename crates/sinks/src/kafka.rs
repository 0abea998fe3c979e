//! Writes records to topics of Apache Kafka, as JSON, with gateway and device as key.
//!
//! Guarantees: a record is acknowledged when all replicas in sync have it. While the gateway runs, each record stands there once: the
//! producer is idempotent, and what was handed to it and not answered yet is waited for, not sent again, however long the brokers
//! are away. After a crash the batch that was under way may stand twice, with the same content. Records of a device are in one
//! partition, in their order.

pub mod config;
mod producer;

use std::sync::Arc;

use async_trait::async_trait;
use gateway_core::files::{Files, check_ca};
use gateway_core::findings::{KeyPath, Report};
use gateway_core::ports::Clock;
use gateway_core::settings::BuildError;

use self::config::Config;
use self::producer::Producer;
use crate::kind::{Example, Send, SinkKind, Start, check_login};
use crate::sink::{Item, Outcome, Sink, WriteError};

/// Kafka allows no longer names of topics.
const MAX_TOPIC_BYTES: usize = 249;

/// The kind `kafka`.
#[derive(Debug, Clone, PartialEq)]
pub struct Kafka;

impl SinkKind for Kafka {
    const NAME: &'static str = "kafka";
    const LABEL: &'static str = "Kafka";
    const DOC: &'static str = "Topics of Apache Kafka: each record is a JSON message.";
    const SECRETS: &'static [&'static str] = &["password"];

    type Table = Config;

    fn example() -> Example {
        Example { name: "events", values: vec![("brokers", vec!["localhost:9092"].into())] }
    }

    fn read_files(table: &mut Config, path: &KeyPath, files: &mut Files<'_>) {
        files.resolve([&mut table.ca_file]);
        files.password(path, &mut table.password, &mut table.password_file);
    }

    fn check(table: &Config, path: &KeyPath, report: &mut Report) {
        check_ca(report, path, table.ca_file.as_deref());
        if table.brokers.is_empty() {
            report.error(&path.key("brokers"), "is empty; write at least one such as \"localhost:9092\"");
        }
        for broker in &table.brokers {
            let port =
                broker.rsplit_once(':').and_then(|(host, port)| Some((host, port.parse::<u16>().ok()?)));
            if !port.is_some_and(|(host, port)| !host.is_empty() && port > 0) || broker.contains("//") {
                report.error(
                    &path.key("brokers"),
                    "has what is no host and port; write one such as \"localhost:9092\"",
                );
            }
        }
        let name = table.topic.replace("{kind}", "aggregates");
        let is_good = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        if name.is_empty() || name.len() > MAX_TOPIC_BYTES || !name.chars().all(is_good) {
            let why = "is no topic: it has letters, digits and . _ - only, and may have {kind}";
            report.error(&path.key("topic"), why);
        }
        let password = (table.password.as_ref(), table.password_file.as_ref());
        check_login(table.username.as_ref(), password, path, report);
        Send::check(&table.send, path, report);
    }

    fn probe(table: &Config, path: &KeyPath, report: &mut Report) {
        let table = table.clone();
        crate::probe::run(async move { producer::probe(&table).await }, path, "brokers", report);
    }

    fn send(table: &Config) -> &[Send] {
        &table.send
    }

    fn start(table: &Config) -> Start {
        table.start
    }

    fn build(_path: &KeyPath, table: &Config, _clock: &Arc<dyn Clock>) -> Result<Box<dyn Sink>, BuildError> {
        Ok(Box::new(KafkaSink { table: table.clone(), producer: None }))
    }
}

/// Publishes batches.
struct KafkaSink {
    table: Config,
    producer: Option<Producer>,
}

#[async_trait]
impl Sink for KafkaSink {
    async fn write(&mut self, batch: &[Item]) -> Result<Vec<Outcome>, WriteError> {
        if let Some(broken) = self.producer.take_if(|producer| producer.is_broken()) {
            broken.close().await;
        }
        let producer = match self.producer.take() {
            Some(producer) => producer,
            None => Producer::open(&self.table).await.map_err(|(_, why)| WriteError::retry(why))?,
        };
        self.producer.insert(producer).write(batch).await
    }
}
