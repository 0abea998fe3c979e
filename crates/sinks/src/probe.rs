//! Runs a probe of `riser check` to its end: checks are not asynchronous.

use std::future::Future;
use std::time::Duration;

/// How long a server may take to answer.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Runs `probe` on a thread of its own.
///
/// # Errors
/// What it found: the key, and why.
pub(crate) fn run(
    probe: impl Future<Output = Result<(), (&'static str, String)>> + Send + 'static,
) -> Result<(), (&'static str, String)> {
    let in_time = async { tokio::time::timeout(TIMEOUT, probe).await };
    let run = move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.map(|runtime| runtime.block_on(in_time))
    };
    match std::thread::spawn(run).join() {
        Ok(Ok(Ok(found))) => found,
        Ok(Ok(Err(_late))) => Err(("url", format!("does not answer within {TIMEOUT:?}"))),
        // A machine that cannot start a thread has other problems.
        Ok(Err(_)) | Err(_) => Ok(()),
    }
}
