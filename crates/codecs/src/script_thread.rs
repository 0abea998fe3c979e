//! A thread on which codecs in JavaScript run, so that nobody waits for one that does not come back.
//!
//! A script's processor time is bounded from within, but not while the engine itself is at work: it looks for a text in a
//! long one, or matches a regular expression, in one go. Such a thread cannot be stopped. Who waited gives it up, and
//! keeps it in view: its memory and its share of the processor are gone until it comes back by itself.

use std::io;
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, OnceLock};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use rustix::process::{Pid, setpriority_process};
use rustix::thread::gettid;

/// How long a call is waited for: a multiple of the processor time that a script has, for machines that are busy.
pub const PATIENCE: Duration = Duration::from_secs(5);

/// Most threads that have not come back. With so many no script is run until one does.
pub const MAX_STUCK: usize = 4;

/// What is not waited for any more shall not take the processor from the rest of the gateway: as `nice -n 19`.
const NICE: i32 = 19;

/// What a thread does.
pub type Work = Box<dyn FnOnce() + Send>;

/// A thread that waits for work, or does some.
#[derive(Debug)]
pub struct ScriptThread {
    work: SyncSender<Work>,
    thread: JoinHandle<()>,
    /// The system's number for it, once it has begun.
    number: Arc<OnceLock<Pid>>,
}

/// The thread has ended, or is at work still.
#[derive(Debug, thiserror::Error)]
#[error("the thread for scripts takes no work, which is a bug: please report it")]
pub struct NotTaken;

impl ScriptThread {
    /// # Errors
    /// Where the system has no thread left.
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

    /// Has the thread do `work`, which tells how it went by itself. Never waits.
    pub fn give(&self, work: Work) -> Result<(), NotTaken> {
        self.work.try_send(work).map_err(|error: TrySendError<Work>| match error {
            TrySendError::Full(_) | TrySendError::Disconnected(_) => NotTaken,
        })
    }

    /// Leaves the thread to itself: it ends once its work has.
    pub fn give_up(self) -> StuckThread {
        // Linux has priorities for each thread. Refused, it runs as everybody.
        let _ = self.number.get().map(|number| setpriority_process(Some(*number), NICE));
        StuckThread(self.thread)
    }
}

/// A thread that did not come back in time.
#[derive(Debug)]
pub struct StuckThread(JoinHandle<()>);

impl StuckThread {
    pub fn is_back(&self) -> bool {
        self.0.is_finished()
    }
}

/// Why work that was waited for gave nothing.
#[derive(Debug, thiserror::Error)]
pub enum Lost {
    #[error("the codec did not come back within {} s", PATIENCE.as_secs())]
    Stuck,
    #[error("the codec was not asked: {MAX_STUCK} others have not come back")]
    TooManyStuck,
    #[error("no thread for the codec")]
    NoThread {
        #[source]
        source: io::Error,
    },
    #[error("the codec was not asked")]
    NotTaken {
        #[source]
        source: NotTaken,
    },
}

/// Runs scripts for whoever can wait for them, one at a time.
#[derive(Debug)]
pub struct Waiting {
    patience: Duration,
    idle: Option<ScriptThread>,
    stuck: Vec<StuckThread>,
}

impl Default for Waiting {
    fn default() -> Self {
        Self { patience: PATIENCE, idle: None, stuck: Vec::new() }
    }
}

impl Waiting {
    /// Does `work` on another thread and waits for it, [`PATIENCE`] at most.
    ///
    /// # Errors
    /// Where it is given up, or not begun.
    pub fn run<T: Send + 'static>(&mut self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, Lost> {
        self.stuck.retain(|stuck| !stuck.is_back());
        if self.stuck.len() >= MAX_STUCK {
            return Err(Lost::TooManyStuck);
        }
        let thread = match self.idle.take() {
            Some(thread) => thread,
            None => ScriptThread::start().map_err(|source| Lost::NoThread { source })?,
        };
        let (tell, told) = sync_channel(1);
        let work = Box::new(move || {
            // Nobody listens any more where it was given up.
            let _ = tell.send(work());
        });
        thread.give(work).map_err(|source| Lost::NotTaken { source })?;
        match told.recv_timeout(self.patience) {
            Ok(done) => {
                self.idle = Some(thread);
                Ok(done)
            }
            Err(_) => {
                self.stuck.push(thread.give_up());
                Err(Lost::Stuck)
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
        let told = std::fs::read_to_string(format!("/proc/self/task/{number}/stat")).unwrap();
        let nice = told.rsplit(") ").next().unwrap().split(' ').nth(16);
        assert_eq!(nice, Some("19"), "{told}");
        end.send(()).unwrap();
        while !stuck.is_back() {
            std::thread::yield_now();
        }
    }

    #[test]
    fn work_is_done_in_its_order_and_no_more_is_taken_than_one_behind_what_runs() {
        let thread = ScriptThread::start().unwrap();
        let (end, wait) = channel::<()>();
        let (done, heard) = channel();
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
        assert_eq!([heard.recv().unwrap(), heard.recv().unwrap()], [1, 2]);
    }

    #[test]
    fn with_too_many_stuck_nothing_is_begun_until_one_is_back() {
        let mut waiting = Waiting { patience: Duration::from_millis(20), ..Waiting::default() };
        let (ends, waits): (Vec<_>, Vec<_>) = (0..MAX_STUCK).map(|_| channel::<()>()).unzip();
        for wait in waits {
            assert!(matches!(waiting.run(move || wait.recv()), Err(Lost::Stuck)));
        }
        assert!(matches!(waiting.run(|| 1), Err(Lost::TooManyStuck)));
        drop(ends);
        while waiting.stuck.iter().any(|stuck| !stuck.is_back()) {
            std::thread::yield_now();
        }
        waiting.patience = PATIENCE;
        assert_eq!(waiting.run(|| 1).unwrap(), 1);
    }
}
