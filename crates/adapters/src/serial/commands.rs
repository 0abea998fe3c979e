//! Writes commands to the port, each as one line.

use std::time::Duration;

use gateway_core::AdapterId;
use gateway_core::ports::{Command, CommandError};
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::port::Port;

/// The time limit for writing a line.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);

/// Writes commands for ever.
pub(super) async fn run(adapter: &AdapterId, port: &Port, commands: &mut mpsc::Receiver<Command>) {
    while let Some(command) = commands.recv().await {
        let result = write(adapter, port, &command.payload).await;
        // Fails if the sender no longer waits.
        let _ = command.done.send(result);
    }
    std::future::pending::<()>().await;
}

/// Answers a command that comes while the port is not open.
pub(super) fn not_connected(adapter: &AdapterId, command: Command) {
    let _ = command.done.send(Err(CommandError::NotConnected { adapter: adapter.clone() }));
}

async fn write(adapter: &AdapterId, port: &Port, payload: &[u8]) -> Result<(), CommandError> {
    let line = line(payload).map_err(|reason| CommandError::Refused { adapter: adapter.clone(), reason })?;
    let failed = |reason: String| CommandError::Unanswered { adapter: adapter.clone(), reason };
    match timeout(WRITE_TIMEOUT, port.write_all(&line)).await {
        Ok(written) => written.map_err(|error| failed(format!("the port failed: {error}"))),
        Err(_) => Err(failed(format!("the port took no more for {WRITE_TIMEOUT:.0?}"))),
    }
}

/// The payload with a line feed; an error if it is not one line.
pub(super) fn line(payload: &[u8]) -> Result<Vec<u8>, String> {
    let text = payload.strip_suffix(b"\n").unwrap_or(payload);
    if text.is_empty() || text.iter().any(|byte| matches!(byte, b'\n' | b'\r')) {
        return Err("the payload must be one line of text that is not empty".to_owned());
    }
    Ok([text, b"\n"].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_one_line() {
        assert_eq!(line(b"fan 1").unwrap(), b"fan 1\n");
        assert_eq!(line(b"fan 1\n").unwrap(), b"fan 1\n");
        for wrong in [&b""[..], b"\n", b"fan 1\nheater 1", b"fan 1\r\n"] {
            assert!(line(wrong).is_err(), "{wrong:?}");
        }
    }
}
