//! When a checkpoint is due, and writing it beside the pipeline.

use std::panic;
use std::path::Path;
use std::time::Duration;

use journal::Position;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::checkpoint::{CheckpointError, CheckpointFile};
use crate::engine::Engine;
use gateway_core::chain;

/// A checkpoint is due after this many journal bytes, at least.
const AFTER: u64 = 8 << 20;

/// How long a disk that refused one is left alone.
const PAUSE: Duration = Duration::from_secs(10);

/// The checkpoints of a running gateway.
pub(crate) struct Checkpoints {
    file: CheckpointFile,
    /// The last step in the newest one.
    newest: Position,
    /// Bytes of the newest one.
    size: u64,
    /// Bytes of all since the start.
    written: u64,
    /// What the journal had been appended by then.
    journal_at: u64,
    /// Journal bytes that the next one answers for beside what is appended after `journal_at`.
    before: u64,
    running: Option<JoinHandle<Result<Position, CheckpointError>>>,
    begun: Instant,
    not_before: Option<Instant>,
    trouble: Option<String>,
}

impl Checkpoints {
    /// `newest` is the last step in the checkpoint that is there; `since` what the journal holds after it, in bytes.
    pub(crate) fn new(data_dir: &Path, newest: Position, since: u64) -> Self {
        Self {
            file: CheckpointFile::in_dir(data_dir),
            newest,
            size: 0,
            written: 0,
            journal_at: 0,
            before: since,
            running: None,
            begun: Instant::now(),
            not_before: None,
            trouble: None,
        }
    }

    /// Why the last one could not be written.
    pub(crate) fn trouble(&self) -> Option<&str> {
        self.trouble.as_deref()
    }

    /// Bytes written since the start.
    pub(crate) fn written(&self) -> u64 {
        self.written
    }

    /// How many times the journal has grown by what makes a checkpoint due; 0 while one is being written. `appended`: its
    /// bytes since the start.
    pub(crate) fn due_factor(&self, appended: u64) -> u64 {
        let waits = self.not_before.is_some_and(|at| at > Instant::now());
        if waits || self.running.is_some() {
            return 0;
        }
        let since = appended.saturating_sub(self.journal_at);
        self.before.saturating_add(since) / self.due_after()
    }

    /// Journal bytes after which the next one is due: four times its own, so that checkpoints add a quarter to what is
    /// written, at most.
    fn due_after(&self) -> u64 {
        AFTER.max(4 * self.size)
    }

    /// Begins to write one. Everything that came of the steps up to `position` must be in the outbox, and in its snapshot,
    /// where damage is always detected: the journal will not produce it again. `outbox` is flushed first for that; `None`
    /// if there is none or if it was flushed just now.
    pub(crate) fn begin(
        &mut self,
        position: Position,
        engine: &Engine,
        appended: u64,
        outbox: Option<outbox::Handle>,
    ) {
        let bytes = match CheckpointFile::encode(position, engine) {
            Ok(bytes) => bytes,
            Err(error) => return self.failed(format!("the state cannot be written down: {error}")),
        };
        self.size = bytes.len() as u64;
        self.written += self.size;
        self.journal_at = appended;
        self.before = 0;
        self.begun = Instant::now();
        let file = self.file.clone();
        self.running = Some(tokio::spawn(async move {
            if let Some(outbox) = outbox {
                outbox.flush().await?;
            }
            let write = move || file.replace(&bytes).map(|()| position);
            match tokio::task::spawn_blocking(write).await {
                Ok(written) => written,
                Err(error) => match error.try_into_panic() {
                    Ok(reason) => panic::resume_unwind(reason),
                    // The runtime is shutting down.
                    Err(_) => std::future::pending().await,
                },
            }
        }));
    }

    /// Waits for the one that is being written; for ever where none is. Dropping the future loses nothing. Returns the
    /// first step that the journal must keep: those after the checkpoint before.
    pub(crate) async fn finished(&mut self) -> Option<Position> {
        let Some(running) = &mut self.running else { return std::future::pending().await };
        let result = running.await;
        self.running = None;
        match result {
            Ok(Ok(position)) => {
                self.trouble = None;
                self.not_before = None;
                Some(std::mem::replace(&mut self.newest, position).next())
            }
            Ok(Err(error)) => {
                self.failed(chain(&error));
                None
            }
            Err(error) => {
                self.failed(format!("writing the checkpoint failed: {error}"));
                None
            }
        }
    }

    fn failed(&mut self, why: String) {
        tracing::error!("{why}; no checkpoint is written until it can be; the journal keeps everything");
        self.not_before = Some(Instant::now() + PAUSE);
        // Due again as soon as the pause is over.
        self.before = self.before.saturating_add(self.due_after());
        self.trouble = Some(why);
    }

    /// What must be stored before the next one is not stored: it is tried again after a pause.
    pub(crate) fn postpone(&mut self) {
        self.not_before = Some(Instant::now() + PAUSE);
    }

    pub(crate) fn is_running(&self) -> bool {
        self.running.is_some()
    }

    /// How long the one that is being written has taken.
    pub(crate) fn waited(&self) -> Duration {
        if self.is_running() { self.begun.elapsed() } else { Duration::ZERO }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_start_finds_in_the_journal_counts_towards_the_first_checkpoint() {
        let dir = tempfile::tempdir().unwrap();
        let checkpoints = Checkpoints::new(dir.path(), Position(0), AFTER - 1);
        assert_eq!(
            (checkpoints.due_factor(0), checkpoints.due_factor(1), checkpoints.due_factor(AFTER + 1)),
            (0, 1, 2)
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_checkpoint_that_failed_is_due_again_after_the_pause() {
        let dir = tempfile::tempdir().unwrap();
        let mut checkpoints = Checkpoints::new(&dir.path().join("not there"), Position(0), 0);
        checkpoints.begin(Position(1), &Engine::new(crate::tests::settings()), AFTER, None);
        assert_eq!(checkpoints.finished().await, None);
        assert!(checkpoints.trouble().is_some());
        assert_eq!(checkpoints.due_factor(AFTER), 0, "the disk is left alone");
        tokio::time::advance(PAUSE).await;
        assert_eq!(checkpoints.due_factor(AFTER), 1);
    }

    #[tokio::test]
    async fn damage_to_outputs_of_steps_in_a_checkpoint_is_detected() {
        let dir = tempfile::tempdir().unwrap();
        let (running, copy) = (dir.path().join("outbox"), dir.path().join("copy"));
        let options = outbox::Options {
            max_bytes: 1 << 20,
            when_full: outbox::WhenFull::DropOldest,
            producer_repeats: false,
            spill_after: Duration::ZERO,
        };
        let (handle, _thread) =
            outbox::spawn(outbox::Outbox::open(&running, options, &[]).unwrap().0).unwrap();
        handle.append(1, Vec::new(), 0).await.unwrap();
        handle.status().wait_for(|status| status.mark == 1).await.unwrap();
        let mut checkpoints = Checkpoints::new(dir.path(), Position(0), 0);
        checkpoints.begin(Position(1), &Engine::new(crate::tests::settings()), AFTER, Some(handle.clone()));
        assert_eq!(checkpoints.finished().await, Some(Position(1)));
        for lane in std::fs::read_dir(&running).unwrap().map(Result::unwrap) {
            if lane.path().is_file() {
                std::fs::create_dir_all(&copy).unwrap();
                std::fs::copy(lane.path(), copy.join(lane.file_name())).unwrap();
                continue;
            }
            std::fs::create_dir_all(copy.join(lane.file_name())).unwrap();
            for file in std::fs::read_dir(lane.path()).unwrap().map(Result::unwrap) {
                let mut bytes = std::fs::read(file.path()).unwrap();
                bytes.pop();
                std::fs::write(copy.join(lane.file_name()).join(file.file_name()), bytes).unwrap();
            }
        }
        let (outbox, recovery) = outbox::Outbox::open(&copy, options, &[]).unwrap();
        assert_eq!((outbox.mark(), recovery.damage.is_some()), (1, true));
    }
}
