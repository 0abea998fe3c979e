//! The idempotent producer, and what it has not answered yet.
//!
//! Guarantees: a record is handed to it once; no password is in an error's text; a certificate is always checked.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use krafka::auth::{AuthConfig, TlsConfig};
use krafka::producer::{Acks, DeliveryHandle};
use krafka::{CloseOptions, Compression as Codec, KrafkaError, Record as Message};
use outbox::Lane;
use tokio::time::{Instant, timeout_at};

use super::config::{Compression, Config, Mechanism};
use crate::reason;
use crate::sink::{Item, Outcome, WriteError};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a write waits for answers. What is not answered then is waited for at the next write.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
/// How long the producer sends a record again by itself, in such a way that it is stored once.
const DELIVERY_TIMEOUT: Duration = Duration::from_secs(7 * 24 * 3600);
/// How long a record waits for its topic to be known.
const TOPIC_TIMEOUT: Duration = Duration::from_secs(10);

/// A producer for one cluster.
pub(super) struct Producer {
    producer: krafka::producer::Producer,
    brokers: String,
    topic: String,
    /// What has no answer yet, by lane and number.
    unanswered: BTreeMap<(Lane, u64), DeliveryHandle>,
    /// What was refused together with others. No more than a batch has.
    suspects: BTreeSet<(Lane, u64)>,
    is_broken: bool,
}

impl Producer {
    pub(super) async fn open(table: &Config) -> Result<Producer, (&'static str, String)> {
        let kafka = connect(table).await?;
        let codec = match table.compression {
            Compression::None => Codec::None,
            Compression::Gzip => Codec::Gzip,
            Compression::Snappy => Codec::Snappy,
            Compression::Lz4 => Codec::Lz4,
            Compression::Zstd => Codec::Zstd,
        };
        let builder = kafka.producer().acks(Acks::All).idempotent(true).compression(codec);
        let builder =
            builder.linger(Duration::ZERO).delivery_timeout(DELIVERY_TIMEOUT).max_block(TOPIC_TIMEOUT);
        let producer = builder.metrics_push(false).build().await.map_err(|error| failure(table, &error))?;
        Ok(Producer {
            producer,
            brokers: table.brokers.join(","),
            topic: table.topic.clone(),
            unanswered: BTreeMap::new(),
            suspects: BTreeSet::new(),
            is_broken: false,
        })
    }

    /// Whether nothing can be written with it any more.
    pub(super) fn is_broken(&self) -> bool {
        self.is_broken
    }

    /// Gives up what has no answer yet. Without that it would be sent on in the background, beside what the next producer sends,
    /// and an older revision could come after a newer one.
    pub(super) async fn close(self) {
        // It always times out: nothing is waited for.
        let _timed_out = self.producer.close_with(CloseOptions::new().timeout(Duration::ZERO)).await;
    }

    pub(super) async fn write(&mut self, batch: &[Item]) -> Result<Vec<Outcome>, WriteError> {
        let deadline = Instant::now() + ANSWER_TIMEOUT;
        let mut outcomes = Vec::with_capacity(batch.len());
        for item in batch {
            let is_known = self.unanswered.contains_key(&place(item));
            let refused = if is_known { None } else { self.hand_over(item).await? };
            let is_suspect = self.suspects.contains(&place(item));
            outcomes.push(if is_suspect && refused.is_none() {
                // It must be the only one of its request.
                Some(self.answer(item, deadline).await?)
            } else {
                refused
            });
        }
        for (item, outcome) in batch.iter().zip(&mut outcomes) {
            if outcome.is_none() {
                *outcome = Some(self.answer(item, deadline).await?);
            }
        }
        Ok(outcomes.into_iter().map(|outcome| outcome.unwrap_or(Outcome::Later)).collect())
    }

    /// Gives a record to the producer. `Some` if it can never be written.
    async fn hand_over(&mut self, item: &Item) -> Result<Option<Outcome>, WriteError> {
        let record = &item.record;
        let topic = self.topic.replace("{kind}", item.lane.as_str());
        let key = format!("{}/{}", record.gateway(), record.device());
        let message = Message::new(topic, record.to_json(item.seq())).key(key);
        match self.producer.enqueue(message).await {
            Ok(handle) => {
                self.unanswered.insert(place(item), handle);
                Ok(None)
            }
            Err(error) => self.outcome(item, &error).map(Some),
        }
    }

    async fn answer(&mut self, item: &Item, deadline: Instant) -> Result<Outcome, WriteError> {
        let place = place(item);
        let Some(handle) = self.unanswered.get_mut(&place) else { return Ok(Outcome::Later) };
        let Ok(answer) = timeout_at(deadline, handle).await else {
            let brokers = &self.brokers;
            return Err(WriteError::retry(format!(
                "{brokers}: no acknowledgement within {ANSWER_TIMEOUT:?}; waiting on"
            )));
        };
        self.unanswered.remove(&place);
        match answer {
            Ok(_) => {
                self.suspects.remove(&place);
                Ok(Outcome::Taken)
            }
            Err(error) => self.outcome(item, &error),
        }
    }

    /// What an error means for a record.
    fn outcome(&mut self, item: &Item, error: &KrafkaError) -> Result<Outcome, WriteError> {
        if is_of_the_record(error) {
            // A request has many records, and is refused as a whole: the next time each of them goes alone.
            let was_alone = !self.suspects.insert(place(item));
            if was_alone {
                self.suspects.remove(&place(item));
                return Ok(Outcome::Never(shown(error)));
            }
            return Ok(Outcome::Later);
        }
        // Its numbers may not be those of the broker any more: what has no answer yet is sent again by a new one.
        self.is_broken |= !error.is_retriable();
        Err(WriteError::retry(format!("{}: {}", self.brokers, shown(error))))
    }
}

/// What is not as it should be: the key of the configuration, and why. Changes nothing.
pub(super) async fn probe(table: &Config) -> Result<(), (&'static str, String)> {
    connect(table).await.map(|_kafka| ())
}

async fn connect(table: &Config) -> Result<krafka::Kafka, (&'static str, String)> {
    let builder =
        krafka::Kafka::builder(table.brokers.join(",")).client_id("riser").security(security(table));
    let builder = builder.connect_timeout(CONNECT_TIMEOUT).request_timeout(REQUEST_TIMEOUT);
    builder.allow_auto_create_topics(true).connect().await.map_err(|error| failure(table, &error))
}

fn security(table: &Config) -> AuthConfig {
    let login = table.username.as_ref().map(|name| {
        let password = table.password.as_ref().map_or("", |password| password.expose());
        match table.mechanism {
            Mechanism::Plain => AuthConfig::sasl_plain(name, password),
            Mechanism::Scram256 => AuthConfig::sasl_scram_sha256(name, password),
            Mechanism::Scram512 => AuthConfig::sasl_scram_sha512(name, password),
        }
    });
    let tls = match &table.ca_file {
        Some(file) => Some(TlsConfig::new().with_ca_cert(file.to_string_lossy())),
        None => table.tls.then(TlsConfig::new),
    };
    match (login, tls) {
        (Some(login), Some(tls)) => login.with_tls(tls),
        (Some(login), None) => login,
        (None, Some(tls)) => AuthConfig::ssl(tls),
        (None, None) => AuthConfig::plaintext(),
    }
}

/// What happened, what to do, and the key that is to blame.
fn failure(table: &Config, error: &KrafkaError) -> (&'static str, String) {
    let (brokers, text) = (table.brokers.join(","), shown(error));
    if matches!(error, KrafkaError::Auth { .. }) && !text.contains("TLS handshake failed") {
        return (
            "username",
            format!("{brokers}: {text}; look at username and password_file, mechanism and tls"),
        );
    }
    // A broker that speaks TLS answers an unencrypted question with bytes that are no length.
    let remedy = if text.contains("exceeds maximum") {
        "; does that port want TLS? Look at tls and ca_file"
    } else {
        ""
    };
    ("brokers", format!("{brokers}: {text}{remedy}"))
}

/// Whether the record itself can never be stored.
fn is_of_the_record(error: &KrafkaError) -> bool {
    use krafka::error::ErrorCode;
    let of_the_record = [ErrorCode::MessageTooLarge, ErrorCode::RecordListTooLarge, ErrorCode::InvalidRecord];
    match error {
        KrafkaError::Broker { code, .. } => of_the_record.contains(code),
        KrafkaError::Serialization { .. } => true,
        _ => false,
    }
}

fn place(item: &Item) -> (Lane, u64) {
    (item.lane, item.number)
}

fn shown(error: &KrafkaError) -> String {
    reason::shown(&gateway_core::chain(error))
}
