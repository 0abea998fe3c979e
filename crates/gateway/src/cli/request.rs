//! One question to a running gateway, and its answer.

use std::path::Path;
use std::time::Duration;

use serde::de::DeserializeOwned;
use tokio::io::AsyncBufReadExt as _;

use super::{Exit, Failure};
use pipeline::observe::live_socket::{self, Question};

/// How long the gateway may take; its disk may be slow.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(15);

/// `None` if no gateway runs with this `data_dir`.
pub(super) async fn request<T: DeserializeOwned>(
    data_dir: &Path,
    question: &Question,
) -> Result<Option<T>, Failure> {
    let failed = |error: &dyn std::fmt::Display| {
        let path = live_socket::path(data_dir);
        let text = format!("cannot ask the running gateway at {}: {error}", path.display());
        Failure::new(Exit::Unavailable, text)
    };
    let talk = async {
        let Some(mut answer) = live_socket::ask(data_dir, question).await? else { return Ok(None) };
        let mut line = String::new();
        answer.read_line(&mut line).await?;
        Ok::<_, std::io::Error>(Some(line))
    };
    let line = tokio::time::timeout(ANSWER_TIMEOUT, talk)
        .await
        .map_err(|_| failed(&"it does not answer; is its disk full?"))?;
    match line.map_err(|error| failed(&error))? {
        Some(line) if line.is_empty() => {
            Err(failed(&"it gave no answer; is its disk full? `riser tail` may show more"))
        }
        Some(line) => serde_json::from_str(&line).map(Some).map_err(|error| failed(&error)),
        None => Ok(None),
    }
}

/// As [`request`]; that no gateway runs is an error.
pub(super) fn request_blocking<T: DeserializeOwned>(
    data_dir: &Path,
    question: &Question,
) -> Result<T, Failure> {
    super::runtime()?.block_on(request(data_dir, question))?.ok_or_else(|| not_running(data_dir))
}

pub(super) fn not_running(data_dir: &Path) -> Failure {
    let text = format!("no gateway runs with {}; start one with `riser run`", data_dir.display());
    Failure::new(Exit::Unavailable, text)
}
