//! Runs codecs in JavaScript on a separate thread, with a time limit for the caller.
//!
//! The engine bounds a script's processor time, but not while it searches a long text or matches a regular expression:
//! these cannot be interrupted. Such a thread cannot be stopped, so the caller abandons it and counts it until it ends by
//! itself; meanwhile it uses memory and processor time.

use std::io;
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, OnceLock};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use rustix::process::{Pid, setpriority_process};
use rustix::thread::gettid;

/// The time limit of a call: a multiple of a script's processor time, because the machine may be busy.
pub const CALL_TIMEOUT: Duration = Duration::from_secs(5);

/// The most abandoned threads. With this many, no script runs until one of them ends.
pub const MAX_STUCK: usize = 4;

/// The priority of the threads, as `nice -n 19`, so that abandoned ones do not slow the gateway down.
const NICE: i32 = 19;

/// The work of a thread.
pub type Work = Box<dyn FnOnce() + Send>;

/// A thread that waits for work or runs it.
#[derive(Debug)]
pub struct ScriptThread {
    work: SyncSender<Work>,
    thread: JoinHandle<()>,
    /// The system's thread id, once it has started.
    number: Arc<OnceLock<Pid>>,
}

/// The thread has ended, or is still busy.
#[derive(Debug, thiserror::Error)]
#[error("the thread for scripts takes no work, which is a bug: please report it")]
pub struct NotTaken;

impl ScriptThread {
    /// # Errors
    /// The system cannot start a thread.
    pub fn start() -> io::Result<Self> {
        let (work, given) = sync_channel::<Work>(1);
        let number = Arc::new(OnceLock::new());
        let own_number = Arc::clone(&number);
        let thread = Builder::new().name("riser-script".to_owned()).spawn(move || {
            let _ = own_number.set(gettid());
            given.iter().for_each(|work| work());
        })?;
        Ok(Self { work, thread, number })
    }

    /// Runs `work` on the thread; `work` reports its result itself. Does not wait.
    pub fn give(&self, work: Work) -> Result<(), NotTaken> {
        self.work.try_send(work).map_err(|error: TrySendError<Work>| match error {
            TrySendError::Full(_) | TrySendError::Disconnected(_) => NotTaken,
        })
    }

    /// Abandons the thread: it ends after its work.
    pub fn give_up(self) -> StuckThread {
        // Linux has a priority per thread. If it refuses, the thread keeps the normal one.
        let _ = self.number.get().map(|number| setpriority_process(Some(*number), NICE));
        StuckThread(self.thread)
    }
}

/// A thread that did not return in time.
#[derive(Debug)]
pub struct StuckThread(JoinHandle<()>);

impl StuckThread {
    pub fn is_back(&self) -> bool {
        self.0.is_finished()
    }
}

/// The work returned no result.
#[derive(Debug, thiserror::Error)]
pub enum ScriptThreadError {
    #[error("the codec did not return within {} s", CALL_TIMEOUT.as_secs())]
    Stuck,
    #[error("the codec was not run: {MAX_STUCK} others have not returned")]
    TooManyStuck,
    #[error("no thread for the codec")]
    NoThread {
        #[source]
        source: io::Error,
    },
    #[error("the codec was not run")]
    NotTaken {
        #[source]
        source: NotTaken,
    },
}

/// Runs scripts one at a time, and waits for their results.
#[derive(Debug)]
pub struct ScriptRunner {
    timeout: Duration,
    idle: Option<ScriptThread>,
    stuck: Vec<StuckThread>,
}

impl Default for ScriptRunner {
    fn default() -> Self {
        Self { timeout: CALL_TIMEOUT, idle: None, stuck: Vec::new() }
    }
}

impl ScriptRunner {
    /// Runs `work` on another thread and waits for its result, at most [`CALL_TIMEOUT`].
    ///
    /// # Errors
    /// The work did not end in time, or could not be started.
    pub fn run<T: Send + 'static>(
        &mut self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, ScriptThreadError> {
        self.stuck.retain(|stuck| !stuck.is_back());
        if self.stuck.len() >= MAX_STUCK {
            return Err(ScriptThreadError::TooManyStuck);
        }
        let thread = match self.idle.take() {
            Some(thread) => thread,
            None => ScriptThread::start().map_err(|source| ScriptThreadError::NoThread { source })?,
        };
        let (sender, result) = sync_channel(1);
        let work = Box::new(move || {
            // Fails if the caller has abandoned the thread.
            let _ = sender.send(work());
        });
        thread.give(work).map_err(|source| ScriptThreadError::NotTaken { source })?;
        match result.recv_timeout(self.timeout) {
            Ok(done) => {
                self.idle = Some(thread);
                Ok(done)
            }
            Err(_) => {
                self.stuck.push(thread.give_up());
                Err(ScriptThreadError::Stuck)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    #[test]
    fn a_thread_that_was_given_up_is_back_when_its_work_has_ended() {
        let thread = ScriptThread::start().unwrap();
        let (end, wait) = channel::<()>();
        let (began, beginning) = channel();
        thread
            .give(Box::new(move || {
                began.send(()).unwrap();
                let _ = wait.recv();
            }))
            .unwrap();
        beginning.recv().unwrap();
        let number = thread.number.get().unwrap().as_raw_nonzero();
        let stuck = thread.give_up();
        assert!(!stuck.is_back());
        let stat = std::fs::read_to_string(format!("/proc/self/task/{number}/stat")).unwrap();
        let nice = stat.rsplit(") ").next().unwrap().split(' ').nth(16);
        assert_eq!(nice, Some("19"), "{stat}");
        end.send(()).unwrap();
        while !stuck.is_back() {
            std::thread::yield_now();
        }
    }

    #[test]
    fn work_is_done_in_its_order_and_no_more_is_taken_than_one_behind_what_runs() {
        let thread = ScriptThread::start().unwrap();
        let (end, wait) = channel::<()>();
        let (done, results) = channel();
        let (began, beginning) = channel();
        let first = done.clone();
        thread
            .give(Box::new(move || {
                began.send(()).unwrap();
                let _ = wait.recv();
                first.send(1).unwrap();
            }))
            .unwrap();
        beginning.recv().unwrap();
        thread.give(Box::new(move || done.send(2).unwrap())).unwrap();
        assert!(thread.give(Box::new(|| ())).is_err());
        end.send(()).unwrap();
        assert_eq!([results.recv().unwrap(), results.recv().unwrap()], [1, 2]);
    }

    #[test]
    fn with_too_many_stuck_nothing_is_begun_until_one_is_back() {
        let mut waiting = ScriptRunner { timeout: Duration::from_millis(20), ..ScriptRunner::default() };
        let (ends, waits): (Vec<_>, Vec<_>) = (0..MAX_STUCK).map(|_| channel::<()>()).unzip();
        for wait in waits {
            assert!(matches!(waiting.run(move || wait.recv()), Err(ScriptThreadError::Stuck)));
        }
        assert!(matches!(waiting.run(|| 1), Err(ScriptThreadError::TooManyStuck)));
        drop(ends);
        while waiting.stuck.iter().any(|stuck| !stuck.is_back()) {
            std::thread::yield_now();
        }
        waiting.timeout = CALL_TIMEOUT;
        assert_eq!(waiting.run(|| 1).unwrap(), 1);
    }
}
