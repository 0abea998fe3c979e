//! `riser.sock` in the data directory: how `riser tail`, `audit`, `acknowledge` and `firmware` talk to a running gateway.
//!
//! One JSON line asks, JSON lines answer. Only who may enter the data directory can reach it; the socket itself is
//! made for its owner and group.

use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use globset::{Glob, GlobSet};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{broadcast, mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::audit::Auditor;
use crate::Control;
use crate::acknowledging::Request;
use read_model::{Item, Kind, ReadModel};

/// Clients at one time.
const MAX_CLIENTS: usize = 16;

/// Longest question in bytes.
const MAX_QUESTION: u64 = 4096;

/// How long a client may take to ask.
const QUESTION_TIMEOUT: Duration = Duration::from_secs(5);

/// What may be asked.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Question {
    /// What passes, for devices that match the glob: readings, or else aggregates and alerts as asked.
    Follow { readings: bool, aggregates: bool, alerts: bool, device: Option<String> },
    /// The ledger, once.
    Audit,
    /// The number of the gateway's process, once.
    Process,
    /// Which image each node runs, once.
    Firmware,
    /// The alerts that are raised, once.
    Raised,
    /// To take note of anomalies.
    Acknowledge(Request),
}

/// One line of the answer to `Follow`.
#[derive(Debug, Serialize, Deserialize)]
pub struct Line {
    pub kind: String,
    pub item: serde_json::Value,
}

/// Where the socket is.
pub fn path(data_dir: &Path) -> PathBuf {
    data_dir.join("riser.sock")
}

/// Binds the socket. One that a crashed gateway left behind is replaced: the journal's lock keeps two gateways apart.
pub fn bind(data_dir: &Path) -> io::Result<UnixListener> {
    let path = path(data_dir);
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(&path)?;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o660))?;
    Ok(listener)
}

/// Where the answers come from.
#[derive(Clone)]
pub struct Sources {
    pub read_model: ReadModel,
    pub auditor: Auditor,
    pub control: mpsc::Sender<Control>,
}

/// Answers until stopped.
pub async fn serve(listener: UnixListener, sources: Sources, stop: CancellationToken) {
    let connections = std::sync::Arc::new(tokio::sync::Semaphore::new(MAX_CLIENTS));
    loop {
        let stream = tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    tracing::warn!("cannot accept a connection to riser.sock: {error}");
                    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
                    continue;
                }
            },
            () = stop.cancelled() => return,
        };
        // A client too many is closed at once.
        let Ok(permit) = std::sync::Arc::clone(&connections).try_acquire_owned() else { continue };
        let (sources, stop) = (sources.clone(), stop.clone());
        tokio::spawn(async move {
            let _permit = permit;
            tokio::select! {
                // A client that goes away is no error.
                _ = answer(stream, &sources) => {}
                () = stop.cancelled() => {}
            }
        });
    }
}

async fn answer(stream: UnixStream, sources: &Sources) -> io::Result<()> {
    let Sources { read_model, auditor, control } = sources;
    let (read, mut write) = stream.into_split();
    let mut line = String::new();
    let mut reader = BufReader::new(read.take(MAX_QUESTION));
    tokio::time::timeout(QUESTION_TIMEOUT, reader.read_line(&mut line)).await??;
    match serde_json::from_str(&line) {
        Ok(Question::Audit) => {
            let audit = auditor.audit().await.ok_or_else(|| io::Error::other("the gateway is stopping"))?;
            write.write_all(to_line(&audit).as_bytes()).await
        }
        Ok(Question::Process) => write.write_all(to_line(&std::process::id()).as_bytes()).await,
        Ok(Question::Firmware) => {
            let rows = asked(control, Control::Firmware).await?;
            write.write_all(to_line(&rows).as_bytes()).await
        }
        Ok(Question::Raised) => {
            let rows = asked(control, Control::Raised).await?;
            write.write_all(to_line(&rows).as_bytes()).await
        }
        Ok(Question::Acknowledge(request)) => {
            let done = asked(control, |reply| Control::Acknowledge(request, reply)).await?;
            write.write_all(to_line(&done).as_bytes()).await
        }
        Ok(Question::Follow { readings, aggregates, alerts, device }) => {
            let device = match device.as_deref().map(matcher).transpose() {
                Ok(devices) => devices,
                Err(error) => return write.write_all(refusal(&error).as_bytes()).await,
            };
            let items = if readings { read_model.readings() } else { read_model.results() };
            let wanted = Filter { readings, aggregates, alerts, device };
            let mut ignored = tokio::io::sink();
            tokio::select! {
                followed = follow(items, &wanted, &mut write) => followed,
                // The client has gone away, perhaps long before there is something to write.
                _ = tokio::io::copy(&mut reader, &mut ignored) => Ok(()),
            }
        }
        Err(error) => write.write_all(refusal(&error).as_bytes()).await,
    }
}

/// The pipeline's answer.
async fn asked<T>(
    control: &mpsc::Sender<Control>,
    question: impl FnOnce(oneshot::Sender<T>) -> Control,
) -> io::Result<T> {
    let (reply, answer) = oneshot::channel();
    let stopping = || io::Error::other("the gateway is stopping");
    control.send(question(reply)).await.map_err(|_| stopping())?;
    answer.await.map_err(|_| stopping())
}

/// A set of one: it refuses the globs on which `Glob::compile_matcher` panics, with hundreds of braces in each other.
pub fn matcher(glob: &str) -> Result<GlobSet, globset::Error> {
    GlobSet::builder().add(Glob::new(glob)?).build()
}

fn refusal(error: &dyn std::fmt::Display) -> String {
    to_line(&serde_json::json!({ "error": error.to_string() }))
}

struct Filter {
    readings: bool,
    aggregates: bool,
    alerts: bool,
    device: Option<GlobSet>,
}

impl Filter {
    fn has(&self, item: &Item) -> bool {
        let kind = match item.kind {
            Kind::Reading => self.readings,
            Kind::Aggregate => self.aggregates,
            Kind::Alert => self.alerts,
        };
        kind && self.device.as_ref().is_none_or(|glob| glob.is_match(&*item.device))
    }
}

async fn follow(
    mut items: broadcast::Receiver<Item>,
    wanted: &Filter,
    write: &mut (impl tokio::io::AsyncWrite + Unpin),
) -> io::Result<()> {
    loop {
        let line = match items.recv().await {
            Ok(item) if wanted.has(&item) => {
                format!("{{\"kind\":\"{}\",\"item\":{}}}\n", item.kind.as_str(), item.json)
            }
            Ok(_) => continue,
            Err(broadcast::error::RecvError::Lagged(missed)) => {
                format!("{{\"kind\":\"missed\",\"item\":{missed}}}\n")
            }
            Err(broadcast::error::RecvError::Closed) => return Ok(()),
        };
        write.write_all(line.as_bytes()).await?;
    }
}

fn to_line(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default() + "\n"
}

/// Asks a running gateway; none where none runs.
pub async fn ask(data_dir: &Path, question: &Question) -> io::Result<Option<BufReader<UnixStream>>> {
    let mut stream = match UnixStream::connect(path(data_dir)).await {
        Ok(stream) => stream,
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) => {
            return Ok(None);
        }
        Err(error) => return Err(error),
    };
    stream.write_all(to_line(question).as_bytes()).await?;
    Ok(Some(BufReader::new(stream)))
}

#[cfg(test)]
mod tests {
    use super::matcher;

    #[test]
    fn a_glob_of_a_thousand_braces_is_refused_without_a_panic() {
        let nested = format!("{}a{}", "{".repeat(1000), "}".repeat(1000));
        assert!(matcher(&nested).is_err());
        assert!(matcher("meter-*").unwrap().is_match("meter-7"));
    }
}
