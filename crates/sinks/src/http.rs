//! Posts batches of records to an HTTP server, as the JSON of the cloud's topics.
//!
//! Guarantees: a batch that is sent again, also after a crash, has the same records, bytes and `Idempotency-Key`, unless the
//! store has dropped some of its records meanwhile; then it has another key. Any 2xx acknowledges the whole batch. 408, 425, 429
//! and 5xx are tried again, redirects too (they are not followed); every other 4xx drops the batch, with a count.

pub mod config;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use gateway_core::files::Files;
use gateway_core::findings::{KeyPath, Report};
use gateway_core::ports::Clock;
use gateway_core::settings::BuildError;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use hyper::{Method, StatusCode};
use mqtt_link::Tls;
use sha2::{Digest, Sha256};

use self::config::{Config, Format};
use crate::http_client::{Answer, HttpClient, check_server, message_of};
use crate::kind::{Example, Send, SinkKind, Start};
use crate::sink::{Item, Limits, Outcome, Sink, WriteError};

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// Headers that the sink writes itself.
const OWN_HEADERS: [&str; 6] =
    ["content-type", "content-length", "host", "idempotency-key", "connection", "transfer-encoding"];

/// The kind `http`.
#[derive(Debug, Clone, PartialEq)]
pub struct Http;

impl SinkKind for Http {
    const NAME: &'static str = "http";
    const LABEL: &'static str = "HTTP";
    const DOC: &'static str = "HTTP servers that take batches of records as JSON.";
    const SECRETS: &'static [&'static str] = &["token"];

    type Table = Config;

    fn example() -> Example {
        let values = vec![("url", "http://localhost:8080/records".into())];
        Example { name: "webhook", values }
    }

    fn read_files(table: &mut Config, path: &KeyPath, files: &mut Files<'_>) {
        files.resolve([&mut table.ca_file]);
        files.secret(path, "token", &mut table.token, &mut table.token_file);
    }

    fn check(table: &Config, path: &KeyPath, report: &mut Report) {
        check_server(&table.url, table.ca_file.as_deref(), path, "token_file", report);
        Send::check(&table.send, path, report);
        let has_token = table.token.is_some() || table.token_file.is_some();
        for (name, value) in &table.headers {
            let key = path.key("headers").key(name);
            let name = name.to_ascii_lowercase();
            if HeaderName::from_bytes(name.as_bytes()).is_err() {
                report.error(&key, "is no name of a header");
            } else if OWN_HEADERS.contains(&name.as_str()) || (name == "authorization" && has_token) {
                report.error(&key, "is written by the sink itself; remove it");
            } else if HeaderValue::from_str(value.expose()).is_err() {
                report.error(&key, "has characters that a header cannot have");
            }
        }
    }

    fn probe(table: &Config, path: &KeyPath, report: &mut Report) {
        let Ok(sink) = HttpSink::new(table) else { return };
        crate::probe::run(sink.probe(), path, "url", report);
    }

    fn send(table: &Config) -> &[Send] {
        &table.send
    }

    fn start(table: &Config) -> Start {
        table.start
    }

    fn limits(table: &Config) -> Limits {
        Limits { records: usize::from(table.batch), keeps_batches: true, ..Limits::default() }
    }

    fn build(path: &KeyPath, table: &Config, _clock: &Arc<dyn Clock>) -> Result<Box<dyn Sink>, BuildError> {
        let failed = |reason| BuildError { key: path.to_string(), reason };
        let sink = HttpSink::new(table).map_err(failed)?;
        Ok(Box::new(sink))
    }
}

/// Posts batches to one address.
struct HttpSink {
    client: HttpClient,
    headers: HeaderMap,
    format: Format,
}

impl HttpSink {
    /// # Errors
    /// The url, a header or the token cannot be used.
    fn new(config: &Config) -> Result<HttpSink, String> {
        let url = config.url.parse().map_err(|error| format!("{error}"))?;
        let tls = Tls { ca_file: config.ca_file.clone(), ..Tls::default() };
        let mut headers = HeaderMap::new();
        for (name, value) in &config.headers {
            let name = HeaderName::from_bytes(name.as_bytes()).map_err(|error| error.to_string())?;
            headers.insert(name, secret_value(value.expose())?);
        }
        if let Some(token) = &config.token {
            headers.insert(AUTHORIZATION, secret_value(&format!("Bearer {}", token.expose()))?);
        }
        let content = match config.format {
            Format::Jsonl => "application/x-ndjson",
            Format::Json => "application/json",
        };
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content));
        Ok(HttpSink { client: HttpClient::new(url, tls), headers, format: config.format })
    }

    /// What is not as it should be: the key of the configuration, and why.
    async fn probe(mut self) -> Result<(), (&'static str, String)> {
        let headers = self.headers.clone();
        let answer = self.client.request(Method::HEAD, "", &headers, Bytes::new()).await;
        let answer = answer.map_err(|why| ("url", why))?;
        match answer.status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Err(("token_file", self.refusal(&answer))),
            StatusCode::NOT_FOUND => Err(("url", self.refusal(&answer))),
            status if status.is_redirection() => Err(("url", self.refusal(&answer))),
            // Many servers take nothing but POST.
            _ => Ok(()),
        }
    }

    fn body(&self, batch: &[Item]) -> Bytes {
        let mut body = Vec::new();
        for (index, item) in batch.iter().enumerate() {
            match (self.format, index) {
                (Format::Json, 0) => body.push(b'['),
                (Format::Json, _) => body.push(b','),
                (Format::Jsonl, _) => {}
            }
            body.extend_from_slice(&item.record.to_json(item.seq()));
            if self.format == Format::Jsonl {
                body.push(b'\n');
            }
        }
        if self.format == Format::Json {
            body.push(b']');
        }
        body.into()
    }

    /// What the server said, and what to do.
    fn refusal(&self, answer: &Answer) -> String {
        let remedy = match answer.status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => "; look at token_file and headers".to_owned(),
            StatusCode::NOT_FOUND => "; look at url".to_owned(),
            status if status.is_redirection() => {
                let to = answer.location.as_deref().unwrap_or("another address");
                format!("; it sends to {to:?}: write that address as url")
            }
            _ => String::new(),
        };
        let message = message_of(&answer.body);
        let colon = if message.is_empty() { "" } else { ": " };
        format!("{} answers {}{colon}{message}{remedy}", self.client.server(), answer.status)
    }
}

/// A header's value that is not shown in logs.
fn secret_value(text: &str) -> Result<HeaderValue, String> {
    let mut value =
        HeaderValue::from_str(text).map_err(|_| "has characters that a header cannot have".to_owned())?;
    value.set_sensitive(true);
    Ok(value)
}

/// The same for the same bytes: half of their SHA-256, as hexadecimal digits.
fn idempotency_key(body: &[u8]) -> String {
    Sha256::digest(body).iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

fn is_tried_again(status: StatusCode) -> bool {
    let busy = [StatusCode::REQUEST_TIMEOUT, StatusCode::TOO_EARLY, StatusCode::TOO_MANY_REQUESTS];
    busy.contains(&status) || !status.is_client_error()
}

#[async_trait]
impl Sink for HttpSink {
    async fn write(&mut self, batch: &[Item]) -> Result<Vec<Outcome>, WriteError> {
        let body = self.body(batch);
        let mut headers = self.headers.clone();
        let key = HeaderValue::try_from(idempotency_key(&body));
        headers.insert(IDEMPOTENCY_KEY, key.map_err(|error| WriteError::retry(error.to_string()))?);
        let answer = self.client.post("", &headers, body).await.map_err(WriteError::retry)?;
        if answer.status.is_success() {
            return Ok(vec![Outcome::Taken; batch.len()]);
        }
        if is_tried_again(answer.status) {
            return Err(WriteError::Retry { reason: self.refusal(&answer), after: answer.retry_after });
        }
        Ok(vec![Outcome::Never(self.refusal(&answer)); batch.len()])
    }
}
