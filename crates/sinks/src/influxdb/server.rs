//! The server's interface: `/write` and `/query` of InfluxDB 1, `/api/v2/write` of 2, `/api/v3/write_lp` of 3.
//!
//! Documentation: docs.influxdata.com, "InfluxDB 1.x HTTP API", "InfluxDB API v2", "InfluxDB 3 Core: HTTP API".

use std::fmt;
use std::io::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use hyper::header::{AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderValue};
use hyper::{Method, StatusCode};
use mqtt_link::Tls;
use serde::Deserialize;
use url::form_urlencoded;

use super::config::Config;
use crate::http_client::{Answer, HttpClient, message_of};
use crate::sink::WriteError;

/// Bodies from this size on are compressed.
const COMPRESS_FROM: usize = 512;

/// One database or bucket on a server.
pub(super) struct Server {
    client: HttpClient,
    headers: HeaderMap,
    version: u8,
    /// The key of the configuration that names the place, and its value.
    place: (&'static str, String),
    org: String,
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Server({})", self.client.server())
    }
}

/// Lines that were refused, by their number from 1 on, and why.
type RefusedLines = Vec<(usize, String)>;

impl Server {
    /// # Errors
    /// The url or a secret cannot be used.
    pub(super) fn new(config: &Config) -> Result<Server, String> {
        let url = config.url.parse().map_err(|error| format!("{error}"))?;
        let tls = Tls { ca_file: config.ca_file.clone(), ..Tls::default() };
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
        if let Some(login) = login(config) {
            let mut login = HeaderValue::try_from(login)
                .map_err(|_| "the login has characters that HTTP cannot transport".to_owned())?;
            login.set_sensitive(true);
            headers.insert(AUTHORIZATION, login);
        }
        let place = match config.version {
            2 => ("bucket", config.bucket.clone().unwrap_or_default()),
            _ => ("database", config.database.clone().unwrap_or_default()),
        };
        Ok(Server {
            client: HttpClient::new(url, tls),
            headers,
            version: config.version,
            place,
            org: config.org.clone().unwrap_or_default(),
        })
    }

    /// Writes lines. Returns those that the server refused, if it says which, some of them at least; the others may be written.
    pub(super) async fn write(&mut self, lines: &str) -> Result<RefusedLines, WriteError> {
        let (headers, body) = self.body(lines);
        let path = self.write_path();
        let answer = self.client.post(&path, &headers, body).await.map_err(WriteError::retry)?;
        if answer.status.is_success() {
            return Ok(Vec::new());
        }
        let message = message_of(&answer.body);
        match answer.status {
            StatusCode::BAD_REQUEST | StatusCode::UNPROCESSABLE_ENTITY => {
                if is_missing(&message) {
                    return Err(self.create(&answer, &message).await);
                }
                refused_lines(&answer.body).ok_or(WriteError::Refused { reason: message })
            }
            StatusCode::PAYLOAD_TOO_LARGE => {
                Err(WriteError::Refused { reason: self.refusal(&answer, &message) })
            }
            StatusCode::NOT_FOUND => Err(self.create(&answer, &message).await),
            _ => Err(self.retry(&answer, &message)),
        }
    }

    /// What is not as it should be: the key of the configuration, and why.
    pub(super) async fn probe(mut self) -> Result<(), (&'static str, String)> {
        // No lines: the server checks the login and the place, and writes nothing.
        let (headers, path) = (self.headers.clone(), self.write_path());
        let answer = self.client.post(&path, &headers, Bytes::new()).await.map_err(|why| ("url", why))?;
        let message = message_of(&answer.body);
        match answer.status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                Err((self.login_key(), self.refusal(&answer, &message)))
            }
            StatusCode::NOT_FOUND => Err((self.place.0, self.refusal(&answer, &message))),
            _ if is_missing(&message) => Err((self.place.0, self.refusal(&answer, &message))),
            // An empty body is refused by some versions: then everything else is well.
            status if status.is_success() || status == StatusCode::BAD_REQUEST => Ok(()),
            _ => Err(("url", self.refusal(&answer, &message))),
        }
    }

    fn body(&self, lines: &str) -> (HeaderMap, Bytes) {
        let mut headers = self.headers.clone();
        if lines.len() < COMPRESS_FROM {
            return (headers, Bytes::copy_from_slice(lines.as_bytes()));
        }
        let mut encoder = GzEncoder::new(Vec::with_capacity(lines.len() / 4), Compression::fast());
        match encoder.write_all(lines.as_bytes()).and_then(|()| encoder.finish()) {
            Ok(body) => {
                headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
                (headers, body.into())
            }
            Err(_) => (headers, Bytes::copy_from_slice(lines.as_bytes())),
        }
    }

    fn write_path(&self) -> String {
        let place = encode(&self.place.1);
        match self.version {
            2 => format!("/api/v2/write?org={}&bucket={place}&precision=ms", encode(&self.org)),
            3 => format!("/api/v3/write_lp?db={place}&precision=millisecond&accept_partial=true"),
            _ => format!("/write?db={place}&precision=ms"),
        }
    }

    /// Creates the database, if this version can do that, after the server has said that it is missing.
    async fn create(&mut self, answer: &Answer, message: &str) -> WriteError {
        if self.version != 1 {
            return self.retry(answer, message);
        }
        let name = self.place.1.replace('\\', "\\\\").replace('"', "\\\"");
        let path = format!("/query?q={}", encode(&format!("CREATE DATABASE \"{name}\"")));
        let headers = self.headers.clone();
        match self.client.request(Method::POST, &path, &headers, Bytes::new()).await {
            Ok(created) if created.status.is_success() && !created.body.contains("\"error\"") => {
                tracing::info!(database = self.place.1, "the database was missing and is created");
                WriteError::retry("the database was missing and is created now")
            }
            Ok(refused) => WriteError::retry(format!(
                "{}; it cannot be created: {}",
                self.refusal(answer, message),
                message_of(&refused.body)
            )),
            Err(why) => WriteError::retry(why),
        }
    }

    fn retry(&self, answer: &Answer, message: &str) -> WriteError {
        WriteError::Retry { reason: self.refusal(answer, message), after: answer.retry_after }
    }

    /// What the server said, and what to do.
    fn refusal(&self, answer: &Answer, message: &str) -> String {
        let server = self.client.server();
        let status = answer.status;
        let remedy = match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => format!("; look at {}", self.login_key()),
            StatusCode::NOT_FOUND => format!("; look at url, version and {}", self.place.0),
            status if status.is_redirection() => {
                let to = answer.location.as_deref().unwrap_or("another address");
                format!("; it sends to {to:?}: write that address as url")
            }
            _ => String::new(),
        };
        let colon = if message.is_empty() { "" } else { ": " };
        format!("{server} answers {status}{colon}{message}{remedy}")
    }

    fn login_key(&self) -> &'static str {
        if self.version == 1 { "username" } else { "token_file" }
    }
}

fn login(config: &Config) -> Option<String> {
    if config.version == 1 {
        let username = config.username.as_ref()?;
        let password = config.password.as_ref().map_or("", |password| password.expose());
        return Some(format!("Basic {}", STANDARD.encode(format!("{username}:{password}"))));
    }
    let token = config.token.as_ref()?.expose();
    let scheme = if config.version == 2 { "Token" } else { "Bearer" };
    Some(format!("{scheme} {token}"))
}

fn encode(text: &str) -> String {
    form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

fn is_missing(message: &str) -> bool {
    message.contains("database not found") || message.contains("bucket not found")
}

/// The lines that version 3 names in its answer to a partial write.
fn refused_lines(body: &str) -> Option<RefusedLines> {
    #[derive(Deserialize)]
    struct Partial {
        data: Vec<Line>,
    }
    #[derive(Deserialize)]
    struct Line {
        line_number: usize,
        error_message: String,
    }
    let partial: Partial = serde_json::from_str(body).ok()?;
    let lines = partial.data.into_iter().map(|line| (line.line_number, line.error_message));
    Some(lines.collect()).filter(|lines: &RefusedLines| !lines.is_empty())
}
