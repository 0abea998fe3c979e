//! The connection to the servers, and the stream.
//!
//! Guarantees: no secret is in an error's text; a certificate is always checked. A connection that is lost is opened again by the
//! client, in the background.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_nats::connection::State;
use async_nats::header::{NATS_EXPECTED_STREAM, NATS_MESSAGE_ID};
use async_nats::jetstream::context::{ContextBuilder, PublishErrorKind};
use async_nats::jetstream::message::{PublishMessage, StreamMessage};
use async_nats::jetstream::stream::{Config as StreamConfig, LastRawMessageErrorKind, StorageType};
use async_nats::jetstream::{self, Context, ErrorCode};
use async_nats::{ConnectErrorKind, ConnectOptions, ServerAddr};
use bytes::Bytes;
use gateway_core::chain;
use gateway_core::files::read_text;
use gateway_core::findings::one_line;
use gateway_core::settings::Secret;
use mqtt_link::{Tls, tls};

use super::config::Config;
use super::subject::Pattern;
use crate::sink::{Outcome, WriteError};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
/// Messages without an answer; more than a batch has.
const MAX_UNANSWERED: usize = 1000;
/// Of a file with credentials.
const MAX_CREDENTIALS_BYTES: u64 = 64 * 1024;
const LOGIN: &str =
    "credentials do not belong in the address; write username and password_file, or credentials_file";

/// What is published of a record.
pub(super) struct Message {
    pub(super) subject: String,
    pub(super) id: String,
    pub(super) payload: Bytes,
}

/// A message that a stream has.
pub(super) struct Stored {
    /// Its `Nats-Msg-Id`.
    pub(super) id: String,
    /// Its number in the stream.
    pub(super) sequence: u64,
}

/// `None` if it has no id: it is not ours.
fn stored(message: &StreamMessage) -> Option<Stored> {
    let id = message.headers.get(NATS_MESSAGE_ID)?.as_str().to_owned();
    Some(Stored { id, sequence: message.sequence })
}

/// The servers of a url.
///
/// # Errors
/// It cannot be used. Without secrets.
pub(super) fn addresses(url: &str) -> Result<Vec<ServerAddr>, String> {
    if url.contains('@') {
        return Err(LOGIN.to_owned());
    }
    let address = |text: &str| {
        let text = text.trim();
        if !["nats://", "tls://"].iter().any(|scheme| text.starts_with(scheme)) {
            return Err("begins with another word than nats:// or tls://".to_owned());
        }
        text.parse()
            .map_err(|error| format!("is no address: {error}; write one such as nats://localhost:4222"))
    };
    url.split(',').map(address).collect()
}

/// The text of a file with credentials.
///
/// # Errors
/// It cannot be read, or has none.
pub(super) fn read_credentials(file: &Path) -> Result<Secret, String> {
    let text = read_text(file, MAX_CREDENTIALS_BYTES)?;
    match ConnectOptions::with_credentials(&text) {
        Ok(_) => Ok(Secret::new(text)),
        Err(_) => Err(format!("{} holds no credentials; `nsc generate creds` writes them", file.display())),
    }
}

/// The servers and the stream of a configuration.
pub(super) struct Server {
    addresses: Vec<ServerAddr>,
    login: Option<(String, Option<Secret>)>,
    credentials_file: Option<PathBuf>,
    tls: Tls,
    /// For messages.
    url: String,
    stream: String,
    create: bool,
}

impl Server {
    /// # Errors
    /// The url cannot be used.
    pub(super) fn new(table: &Config) -> Result<Server, String> {
        let login = table.username.clone().map(|name| (name, table.password.clone()));
        Ok(Server {
            addresses: addresses(&table.url)?,
            login,
            credentials_file: table.credentials_file.clone(),
            tls: Tls { ca_file: table.ca_file.clone(), ..Tls::default() },
            url: table.url.clone(),
            stream: table.stream.clone(),
            create: table.create,
        })
    }

    /// A connection, and the stream.
    pub(super) async fn open(&self, pattern: &Pattern) -> Result<Connection, WriteError> {
        let context = self.connect().await.map_err(|(_, why)| WriteError::retry(why))?;
        let stream = match context.get_stream(&self.stream).await {
            Err(error) if self.create && is_missing(&error) => {
                let config = StreamConfig {
                    name: self.stream.clone(),
                    subjects: vec![pattern.wildcard()],
                    storage: StorageType::File,
                    allow_direct: true,
                    ..StreamConfig::default()
                };
                let created = context.create_stream(config).await;
                tracing::info!(stream = self.stream, "the stream was missing and is created");
                created.map_err(|error| WriteError::retry(self.failure("cannot create", &error)))?
            }
            found => found.map_err(|error| WriteError::retry(self.failure("cannot use", &error)))?,
        };
        Ok(Connection { context, stream, name: self.stream.clone(), url: self.url.clone() })
    }

    /// What is not as it should be: the key of the configuration, and why. Changes nothing.
    pub(super) async fn probe(self) -> Result<(), (&'static str, String)> {
        let context = self.connect().await?;
        match context.get_stream(&self.stream).await {
            Err(error) if self.create && is_missing(&error) => Ok(()),
            Err(error) => Err(("stream", self.failure("cannot use", &error))),
            Ok(_) => Ok(()),
        }
    }

    async fn connect(&self) -> Result<Context, (&'static str, String)> {
        let options = self.login()?.name("riser").connection_timeout(CONNECT_TIMEOUT);
        let options = options.event_callback(|event| async move {
            tracing::debug!("nats: {event}");
        });
        let wants_tls = self.tls.ca_file.is_some() || self.url.contains("tls://");
        let options = if wants_tls { self.encrypted(options).await? } else { options };
        let client =
            options.connect(self.addresses.as_slice()).await.map_err(|error| match error.kind() {
                ConnectErrorKind::AuthorizationViolation | ConnectErrorKind::Authentication => {
                    let look = "look at username and password_file, or credentials_file";
                    ("username", format!("{} refuses the login; {look}", self.url))
                }
                _ => ("url", format!("{} is out of reach: {}", self.url, chain(&error))),
            })?;
        Ok(ContextBuilder::new()
            .timeout(ANSWER_TIMEOUT)
            .ack_timeout(ANSWER_TIMEOUT)
            .max_ack_inflight(MAX_UNANSWERED)
            .build(client))
    }

    fn login(&self) -> Result<ConnectOptions, (&'static str, String)> {
        if let Some(file) = &self.credentials_file {
            let failed = |why| ("credentials_file", why);
            let text = read_credentials(file).map_err(failed)?;
            return ConnectOptions::with_credentials(text.expose())
                .map_err(|error| failed(error.to_string()));
        }
        Ok(match &self.login {
            Some((name, password)) => {
                let password = password.as_ref().map_or("", |password| password.expose());
                ConnectOptions::with_user_and_password(name.clone(), password.to_owned())
            }
            None => ConnectOptions::new(),
        })
    }

    async fn encrypted(&self, options: ConnectOptions) -> Result<ConnectOptions, (&'static str, String)> {
        let config = tls::load_in_background(&self.tls).await.map_err(|why| ("ca_file", why))?;
        Ok(options.require_tls(true).tls_client_config(Arc::unwrap_or_clone(config)))
    }

    fn failure(&self, what: &str, error: &(dyn std::error::Error + 'static)) -> String {
        let remedy = "; look at the stream, at `create`, and at what the user may do (docs/sinks.md)";
        format!("{}: {what} the stream {}: {}{remedy}", self.url, self.stream, one_line(&chain(error)))
    }
}

fn is_missing(error: &jetstream::context::GetStreamError) -> bool {
    use jetstream::context::GetStreamErrorKind;
    matches!(error.kind(), GetStreamErrorKind::JetStream(error) if error.error_code() == ErrorCode::STREAM_NOT_FOUND)
}

/// An open connection.
pub(super) struct Connection {
    context: Context,
    stream: jetstream::stream::Stream,
    /// The stream's name.
    name: String,
    url: String,
}

impl Connection {
    /// The newest message on a subject.
    pub(super) async fn newest(&self, subject: &str) -> Result<Option<Stored>, WriteError> {
        self.is_open()?;
        match self.stream.get_last_raw_message_by_subject(subject).await {
            Ok(message) => Ok(stored(&message)),
            Err(error) if matches!(error.kind(), LastRawMessageErrorKind::NoMessageFound) => Ok(None),
            Err(error) => Err(self.unreadable(&error)),
        }
    }

    /// The message with a number.
    pub(super) async fn at(&self, number: u64) -> Result<Option<Stored>, WriteError> {
        self.is_open()?;
        match self.stream.get_raw_message(number).await {
            Ok(message) => Ok(stored(&message)),
            Err(error) if matches!(error.kind(), LastRawMessageErrorKind::NoMessageFound) => Ok(None),
            Err(error) => Err(self.unreadable(&error)),
        }
    }

    fn unreadable(&self, error: &(dyn std::error::Error + 'static)) -> WriteError {
        WriteError::retry(format!(
            "{}: cannot look into the stream {}: {}",
            self.url,
            self.name,
            chain(error)
        ))
    }

    /// Publishes the messages that are not stored. Returns what came of all.
    pub(super) async fn publish(
        &self,
        messages: &[Message],
        stored: &[bool],
    ) -> Result<Vec<Outcome>, WriteError> {
        self.is_open()?;
        let mut answers = Vec::with_capacity(messages.len());
        for (message, is_stored) in messages.iter().zip(stored) {
            answers.push(if *is_stored { None } else { Some(self.send(message).await) });
        }
        let mut outcomes = Vec::with_capacity(messages.len());
        for (message, answer) in messages.iter().zip(answers) {
            let done = match answer {
                None => Ok(Outcome::Taken),
                Some(Ok(answer)) => match answer.await {
                    Ok(_) => Ok(Outcome::Taken),
                    Err(error) => self.outcome(message, &error),
                },
                Some(Err(error)) => self.outcome(message, &error),
            };
            outcomes.push(done?);
        }
        Ok(outcomes)
    }

    async fn send(
        &self,
        message: &Message,
    ) -> Result<jetstream::context::PublishAckFuture, jetstream::context::PublishError> {
        let publish = PublishMessage::build()
            .payload(message.payload.clone())
            .header(NATS_EXPECTED_STREAM, self.name.as_str())
            .message_id(&message.id);
        self.context.send_publish(message.subject.clone(), publish).await
    }

    /// What an error means for a record.
    fn outcome(
        &self,
        message: &Message,
        error: &jetstream::context::PublishError,
    ) -> Result<Outcome, WriteError> {
        let refusal =
            std::error::Error::source(error).and_then(|source| source.downcast_ref::<jetstream::Error>());
        let code = refusal.map(jetstream::Error::error_code);
        if error.kind() == PublishErrorKind::MaxPayloadExceeded
            || code == Some(ErrorCode::STREAM_MESSAGE_EXCEEDS_MAXIMUM)
        {
            return Ok(Outcome::Never(one_line(&chain(error))));
        }
        let Message { subject, .. } = message;
        let (url, stream) = (&self.url, &self.name);
        Err(WriteError::retry(match (error.kind(), code) {
            (PublishErrorKind::StreamNotFound, _) => {
                format!(
                    "{url}: no stream takes the subject {subject}; add it to those of the stream {stream}, or look at `subject`"
                )
            }
            (_, Some(ErrorCode::STREAM_NOT_MATCH)) => {
                format!(
                    "{url}: another stream than {stream} takes the subject {subject}; look at `stream` and `subject`"
                )
            }
            _ => format!("{url}: the stream {stream} does not take records: {}", one_line(&chain(error))),
        }))
    }

    /// # Errors
    /// There is no connection now. The client opens it again.
    fn is_open(&self) -> Result<(), WriteError> {
        match self.context.client().connection_state() {
            State::Connected => Ok(()),
            State::Pending | State::Disconnected => {
                Err(WriteError::retry(format!("{} is out of reach: the connection was lost", self.url)))
            }
        }
    }
}
