//! One HTTP/1.1 connection to one server, for sinks that write over HTTP (RFC 9112).
//!
//! Guarantees: redirects are not followed; at most 64 KiB of an answer are read; a name in the certificate that is not the
//! server's, or an authority that is not trusted, is an error; no secret is in an error's text.

use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use gateway_core::chain;
use gateway_core::files::check_ca;
use gateway_core::findings::{KeyPath, Report};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{Builder, SendRequest};
use hyper::header::{CONTENT_LENGTH, HOST, HeaderMap, LOCATION, RETRY_AFTER};
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use mqtt_link::{Tls, tls};
use rustls_pki_types::ServerName;
use serde::Deserialize;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use url::Url;

use crate::reason::shown;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const MAX_ANSWER_BYTES: usize = 64 * 1024;

/// A server's answer.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    /// How long the server asks to be left alone.
    pub(crate) retry_after: Option<Duration>,
    /// Where it sends to, if it redirects.
    pub(crate) location: Option<String>,
    /// At most 64 KiB.
    pub(crate) body: String,
}

/// A connection that is opened when it is needed.
pub(crate) struct HttpClient {
    url: Url,
    tls: Tls,
    connection: Option<Connection>,
}

struct Connection {
    requests: SendRequest<Full<Bytes>>,
    /// Ends with the connection.
    _driver: JoinSet<()>,
}

impl HttpClient {
    /// `url` is the address of the server; its path stands before that of each request. `ca_file`: what its certificate is
    /// checked against, instead of the machine's authorities.
    pub(crate) fn new(url: Url, tls: Tls) -> HttpClient {
        HttpClient { url, tls, connection: None }
    }

    /// The server's address without path, for messages.
    pub(crate) fn server(&self) -> String {
        let port = self.url.port_or_known_default().unwrap_or(80);
        format!("{}:{port}", self.url.host_str().unwrap_or("?"))
    }

    /// Sends a request and returns the answer. `path`: path and query below the url's path, with a slash in front;
    /// empty for the url itself.
    ///
    /// # Errors
    /// What went wrong, for people. It is unknown then whether the server has the request.
    pub(crate) async fn post(
        &mut self,
        path: &str,
        headers: &HeaderMap,
        body: Bytes,
    ) -> Result<Answer, String> {
        self.request(Method::POST, path, headers, body).await
    }

    pub(crate) async fn request(
        &mut self,
        method: Method,
        path: &str,
        headers: &HeaderMap,
        body: Bytes,
    ) -> Result<Answer, String> {
        let reused = self.connection.take().filter(|connection| !connection.requests.is_closed());
        let was_reused = reused.is_some();
        let mut connection = match reused {
            Some(connection) => connection,
            None => self.connect().await?,
        };
        let mut answer = self.exchange(&mut connection, &method, path, headers, body.clone()).await;
        if answer.is_err() && was_reused {
            // A server may close an idle connection at any time.
            connection = self.connect().await?;
            answer = self.exchange(&mut connection, &method, path, headers, body).await;
        }
        let (answer, is_whole) = answer?;
        if is_whole {
            self.connection = Some(connection);
        }
        Ok(answer)
    }

    /// Also returns whether the answer was read to its end, so that the connection can be used again.
    async fn exchange(
        &self,
        connection: &mut Connection,
        method: &Method,
        path: &str,
        headers: &HeaderMap,
        body: Bytes,
    ) -> Result<(Answer, bool), String> {
        let failed = |error: &dyn std::error::Error| format!("{}: {}", self.server(), chain(error));
        let target = self.target(path);
        let mut request = Request::builder().method(method).uri(target);
        if let Some(all) = request.headers_mut() {
            *all = headers.clone();
        }
        let request = request
            .header(HOST, self.host())
            .header(CONTENT_LENGTH, body.len())
            .body(Full::new(body))
            .map_err(|error| failed(&error))?;
        let requests = &mut connection.requests;
        requests.ready().await.map_err(|error| failed(&error))?;
        let response = requests.send_request(request).await.map_err(|error| failed(&error))?;
        let text = |name| response.headers().get(&name).and_then(|value| value.to_str().ok());
        let retry_after = text(RETRY_AFTER).and_then(|seconds| seconds.trim().parse().ok());
        let location = text(LOCATION).map(str::to_owned);
        let status = response.status();
        let mut body = response.into_body();
        let mut bytes = Vec::new();
        let mut is_whole = true;
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|error| failed(&error))?;
            bytes.extend_from_slice(frame.data_ref().map_or(&[], |data| data));
            if bytes.len() > MAX_ANSWER_BYTES {
                bytes.truncate(MAX_ANSWER_BYTES);
                is_whole = false;
                break;
            }
        }
        let body = String::from_utf8_lossy(&bytes).into_owned();
        let retry_after = retry_after.map(Duration::from_secs);
        Ok((Answer { status, retry_after, location, body }, is_whole))
    }

    /// An empty path is that of the url, with its query.
    fn target(&self, path: &str) -> String {
        if !path.is_empty() {
            return format!("{}{path}", self.url.path().trim_end_matches('/'));
        }
        let query = self.url.query().map_or_else(String::new, |query| format!("?{query}"));
        format!("{}{query}", self.url.path())
    }

    fn host(&self) -> String {
        let host = self.url.host_str().unwrap_or_default();
        self.url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
    }

    async fn connect(&self) -> Result<Connection, String> {
        let server = self.server();
        let connected = timeout(CONNECT_TIMEOUT, self.open());
        connected
            .await
            .unwrap_or_else(|_| Err("no connection within 10 s".to_owned()))
            .map_err(|why| format!("{server} is out of reach: {why}"))
    }

    async fn open(&self) -> Result<Connection, String> {
        let host = self.url.host_str().unwrap_or_default();
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let port = self.url.port_or_known_default().unwrap_or(80);
        let stream = TcpStream::connect((host, port)).await.map_err(|error| chain(&error))?;
        stream.set_nodelay(true).map_err(|error| chain(&error))?;
        if self.url.scheme() != "https" {
            return drive(TokioIo::new(stream)).await;
        }
        let config = tls::load_in_background(&self.tls).await?;
        let name = ServerName::try_from(host.to_owned()).map_err(|error| chain(&error))?;
        let stream = TlsConnector::from(config).connect(name, stream).await;
        drive(TokioIo::new(stream.map_err(|error| chain(&error))?)).await
    }
}

async fn drive<T>(io: T) -> Result<Connection, String>
where
    T: hyper::rt::Read + hyper::rt::Write + Unpin + Send + 'static,
{
    // Some servers and scripts look for names of headers as they are usually written.
    let handshake = Builder::new().title_case_headers(true).handshake(io);
    let (requests, connection) = handshake.await.map_err(|error| chain(&error))?;
    let mut driver = JoinSet::new();
    driver.spawn(async move {
        // Its error is also that of the request.
        let _ended = connection.await;
    });
    Ok(Connection { requests, _driver: driver })
}

/// The `error` or `message` of an answer in JSON, or its beginning.
pub(crate) fn message_of(body: &str) -> String {
    #[derive(Deserialize)]
    struct Told {
        #[serde(alias = "message")]
        error: Option<String>,
    }
    let told = serde_json::from_str::<Told>(body).ok().and_then(|told| told.error);
    let text = told.unwrap_or_else(|| body.to_owned());
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    shown(&line)
}

/// Checks the keys `url` and `ca_file` of a sink's table. `login`: the keys that a login belongs to.
pub(crate) fn check_server(
    url: &str,
    ca_file: Option<&Path>,
    table: &KeyPath,
    login: &str,
    report: &mut Report,
) {
    check_ca(report, table, ca_file);
    let key = table.key("url");
    let without_scheme = url.split_once("://").map_or(url, |(_, rest)| rest);
    if without_scheme.split(['/', '?', '#']).next().is_some_and(|host| host.contains('@')) {
        // What stands before an @ is a secret: the text is not shown then.
        report.error(&key, format!("credentials do not belong in the address; write {login}"));
        return;
    }
    match url.parse::<Url>() {
        Err(error) => {
            report.error(&key, format!("is no address: {error}; write one such as http://localhost:8086"));
        }
        Ok(url) if !matches!(url.scheme(), "http" | "https") => {
            report.error(&key, "begins with another word than http:// or https://");
        }
        Ok(url) if url.host_str().is_none() => report.error(&key, "has no host"),
        Ok(url) if url.scheme() == "http" && ca_file.is_some() => {
            report.warning(&table.key("ca_file"), "is not used: http:// is not encrypted; write https://");
        }
        Ok(_) => {}
    }
}
