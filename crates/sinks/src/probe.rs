//! Runs a probe of `riser check` to its end: checks are not asynchronous.

use std::future::Future;
use std::time::Duration;

use gateway_core::findings::{KeyPath, Report};

use crate::remedy::with_remedy;

/// How long a server may take to answer.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Runs `probe` on a thread of its own, and warns of what it finds: the key of `table`, and why. `address`: the key of the
/// server.
pub(crate) fn run(
    probe: impl Future<Output = Result<(), (&'static str, String)>> + Send + 'static,
    table: &KeyPath,
    address: &'static str,
    report: &mut Report,
) {
    let in_time = async { tokio::time::timeout(TIMEOUT, probe).await };
    let run = move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.map(|runtime| runtime.block_on(in_time))
    };
    match std::thread::spawn(run).join() {
        Ok(Ok(Ok(Err((key, why))))) => report.warning(&table.key(key), with_remedy(why)),
        Ok(Ok(Err(_late))) => {
            report.warning(&table.key(address), format!("does not answer within {TIMEOUT:?}"));
        }
        // A machine that cannot start a thread has other problems.
        Ok(Ok(Ok(Ok(())))) | Ok(Err(_)) | Err(_) => {}
    }
}
