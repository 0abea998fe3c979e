//! Messages that a codec in JavaScript reads, beside the pipeline's batches (docs/decisions/0015).
//!
//! Promises: a batch never waits for a script. The messages of one device are answered in the order in which they came,
//! whatever reads them. At most [`THREADS`] scripts run; each script has its own queue, and the queues take turns. One
//! that does not come back within [`CALL_TIMEOUT`](codecs::script_thread::CALL_TIMEOUT) is given up: its message is
//! refused, and so are further ones for it, until it is back or its file has changed. What waits is bounded:
//! [`Scripts::has_capacity`] says when to take no more.

mod call;
mod queue;
pub(crate) mod reader;
pub(crate) mod refusal;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use codecs::{Codec, Measurements};
use gateway_core::{Delivery, DeviceAddress, Uplink, memory};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use crate::scripts::reader::{Reader, input};
use crate::scripts::refusal::Refusal;
use call::Answer;
use codecs::script_thread::{MAX_STUCK, ScriptThread, StuckThread};
use queue::{Message, ScriptQueue};

/// Most scripts that run at a time.
const THREADS: usize = 2;

/// Messages, and bytes of their payloads, that may wait before no more are taken.
const MAX_WAITING: usize = 256;
const MAX_WAITING_BYTES: usize = memory::SCRIPTS.bytes as usize;

/// Answers given at a time: they make one step.
const MAX_ANSWERS: usize = 64;

/// How often the threads are looked at. Counted in looks, so that scripts are not blamed for a process that was stopped for a while.
const LOOK_EVERY: Duration = Duration::from_millis(500);
const LOOKS: u32 = 10;

/// A message that waited for a script, and what came of it.
pub(crate) struct Answered {
    pub(crate) uplink: Uplink,
    /// The radio's measurements are there even where the payload could not be read.
    pub(crate) measurements: Measurements,
    pub(crate) result: Result<(), Refusal>,
}

/// What waits for scripts, and the threads on which they run.
pub(crate) struct Scripts {
    /// By the script's file. They stay: they know how fast their script is.
    queues: HashMap<Arc<str>, ScriptQueue>,
    /// Those with something to do and no thread, in the order in which they get one.
    next: VecDeque<Arc<str>>,
    /// Devices with messages here: at which queue, and how many.
    senders: HashMap<String, (Arc<str>, usize)>,
    running: Vec<Running>,
    idle: Vec<ScriptThread>,
    stuck: Vec<Stuck>,
    done: VecDeque<Answered>,
    waiting: usize,
    bytes: usize,
    calls: u64,
    look_at: Instant,
    answer_sender: mpsc::Sender<Answer>,
    answers: mpsc::Receiver<Answer>,
}

/// A message that a thread is at.
struct Running {
    call: u64,
    queue: Arc<str>,
    script: Arc<Codec>,
    message: Message,
    thread: ScriptThread,
    looks: u32,
}

/// A script that did not come back.
struct Stuck {
    script: Arc<Codec>,
    thread: StuckThread,
}

impl Default for Scripts {
    fn default() -> Self {
        // Each thread has at most one answer to give.
        let (answer_sender, answers) = mpsc::channel(THREADS + MAX_STUCK);
        Self {
            queues: HashMap::new(),
            next: VecDeque::new(),
            senders: HashMap::new(),
            running: Vec::new(),
            idle: Vec::new(),
            stuck: Vec::new(),
            done: VecDeque::new(),
            waiting: 0,
            bytes: 0,
            calls: 0,
            look_at: Instant::now(),
            answer_sender,
            answers,
        }
    }
}

impl Scripts {
    /// Where a message is to wait: a script reads it, or it must not overtake another of its device.
    pub(crate) fn queue_of(&self, uplink: &Uplink, reader: &Reader) -> Option<Arc<str>> {
        if self.senders.is_empty() && reader.script().is_none() {
            return None;
        }
        let busy_at = self.senders.get(&sender(uplink)).map(|(queue, _)| Arc::clone(queue));
        busy_at.or_else(|| reader.script().map(file_of))
    }

    /// Takes a message, which waits at `file`.
    pub(crate) fn take(&mut self, file: Arc<str>, uplink: Uplink, reader: Reader) {
        let device = sender(&uplink);
        let message = Message { uplink, reader: Arc::new(reader) };
        let queue = self.queues.entry(Arc::clone(&file)).or_default();
        if queue.is_behind() || self.waiting >= 2 * MAX_WAITING {
            self.done.push_back(refused(message, Refusal::TooSlow { file: file.to_string() }));
            return;
        }
        if queue.is_empty() && !queue.busy {
            self.next.push_back(Arc::clone(&file));
        }
        self.waiting += 1;
        self.bytes += message.uplink.payload.len();
        queue.push(message);
        self.senders.entry(device).or_insert((file, 0)).1 += 1;
        self.start();
    }

    /// Whether more messages may come.
    pub(crate) fn has_capacity(&self) -> bool {
        self.waiting < MAX_WAITING && self.bytes < MAX_WAITING_BYTES && self.done.len() < MAX_WAITING
    }

    /// Whether nothing is under way.
    pub(crate) fn is_idle(&self) -> bool {
        self.waiting == 0 && self.running.is_empty() && self.done.is_empty()
    }

    /// What came of some messages, once there are any; nothing is lost where it is cancelled.
    pub(crate) async fn answered(&mut self) -> Vec<Answered> {
        while self.done.is_empty() {
            tokio::select! {
                biased;
                Some(answer) = self.answers.recv() => self.settle(answer),
                () = sleep_until(self.look_at), if !self.running.is_empty() => self.look(),
            }
        }
        while let Ok(answer) = self.answers.try_recv() {
            self.settle(answer);
        }
        self.give()
    }

    /// [`Self::answered`] without a runtime; no script is given up.
    #[cfg(test)]
    pub(crate) fn answered_blocking(&mut self) -> Vec<Answered> {
        while self.done.is_empty() {
            let answer = self.answers.blocking_recv().unwrap();
            self.settle(answer);
        }
        self.give()
    }

    fn give(&mut self) -> Vec<Answered> {
        let count = self.done.len().min(MAX_ANSWERS);
        self.done.drain(..count).collect()
    }

    /// The gateway ends. A message that was not read stays with its sender; where that does not keep it, it is refused.
    pub(crate) fn close(&mut self) -> Vec<Answered> {
        let running = self.running.drain(..).map(|running| running.message);
        let waiting = self.queues.values_mut().flat_map(|queue| std::iter::from_fn(|| queue.pop()));
        let unread: Vec<_> = running.chain(waiting).collect();
        (self.waiting, self.bytes) = (0, 0);
        self.next.clear();
        self.senders.clear();
        let lost = unread.into_iter().filter(|message| message.uplink.delivery == Delivery::AtMostOnce);
        self.done.extend(lost.map(|message| refused(message, Refusal::Stopping)));
        self.done.drain(..).collect()
    }

    /// The files of scripts that have not come back.
    pub(crate) fn stuck(&self) -> impl Iterator<Item = &str> {
        let stuck = self.stuck.iter().filter(|stuck| !stuck.thread.is_back());
        stuck.filter_map(|stuck| stuck.script.script_file())
    }

    /// All messages that are here.
    pub(crate) fn uplinks_mut(&mut self) -> impl Iterator<Item = &mut Uplink> {
        let waiting = self.queues.values_mut().flat_map(ScriptQueue::uplinks_mut);
        let running = self.running.iter_mut().map(|running| &mut running.message.uplink);
        let done = self.done.iter_mut().map(|answered| &mut answered.uplink);
        waiting.chain(running).chain(done)
    }

    /// Puts threads to work as far as there are any.
    fn start(&mut self) {
        self.stuck.retain(|stuck| !stuck.thread.is_back());
        let threads = THREADS.min(MAX_STUCK.saturating_sub(self.stuck.len()));
        while self.running.len() < threads.max(1) {
            let Some(file) = self.next.pop_front() else { return };
            let Some(message) = self.queues.get_mut(&file).and_then(ScriptQueue::pop) else { continue };
            self.waiting = self.waiting.saturating_sub(1);
            self.bytes = self.bytes.saturating_sub(message.uplink.payload.len());
            match self.run(&file, message, threads == 0) {
                Ok(running) => {
                    self.mark_busy(&file, true);
                    self.running.push(running);
                }
                Err(answered) => self.finish(&file, *answered),
            }
        }
    }

    /// Has a thread read the message; an error is what came of one that needs none, or gets none.
    fn run(&mut self, file: &Arc<str>, message: Message, no_thread: bool) -> Result<Running, Box<Answered>> {
        let Some(script) = message.reader.script().cloned() else { return Err(Box::new(read(message))) };
        if self.stuck.iter().any(|stuck| Arc::ptr_eq(&stuck.script, &script)) {
            return Err(Box::new(refused(message, Refusal::Stuck { file: file.to_string() })));
        }
        let thread = if no_thread { None } else { self.thread() };
        let given = thread.and_then(|thread| {
            self.calls += 1;
            let work = call::work(self.calls, &message.uplink, &message.reader, self.answer_sender.clone());
            thread.give(work).ok().map(|()| thread)
        });
        let Some(thread) = given else {
            return Err(Box::new(refused(message, Refusal::NoThread { file: file.to_string() })));
        };
        if self.running.is_empty() {
            self.look_at = Instant::now() + LOOK_EVERY;
        }
        Ok(Running { call: self.calls, queue: Arc::clone(file), script, message, thread, looks: 0 })
    }

    fn thread(&mut self) -> Option<ScriptThread> {
        self.idle.pop().or_else(|| {
            ScriptThread::start()
                .inspect_err(|error| tracing::error!("no thread for codecs in JavaScript: {error}"))
                .ok()
        })
    }

    /// Takes an answer; one that was given up is of no use any more.
    fn settle(&mut self, answer: Answer) {
        let Some(index) = self.running.iter().position(|running| running.call == answer.call) else { return };
        let Running { queue, message, thread, .. } = self.running.swap_remove(index);
        self.idle.push(thread);
        if let Some(queue) = self.queues.get_mut(&queue) {
            queue.took(answer.took);
        }
        let result = answer.result.map_err(Refusal::Undecodable);
        self.mark_busy(&queue, false);
        self.finish(&queue, Answered { uplink: message.uplink, measurements: answer.measurements, result });
        self.start();
    }

    /// Gives up scripts that were looked at too often.
    fn look(&mut self) {
        self.look_at = Instant::now() + LOOK_EVERY;
        for running in &mut self.running {
            running.looks += 1;
            if let Some(queue) = self.queues.get_mut(&running.queue) {
                queue.took(LOOK_EVERY * running.looks);
            }
        }
        while let Some(index) = self.running.iter().position(|running| running.looks > LOOKS) {
            let Running { queue, script, message, thread, .. } = self.running.swap_remove(index);
            self.stuck.push(Stuck { script, thread: thread.give_up() });
            self.mark_busy(&queue, false);
            self.finish(&queue, refused(message, Refusal::Stuck { file: queue.to_string() }));
        }
        self.start();
    }

    fn mark_busy(&mut self, file: &Arc<str>, busy: bool) {
        if let Some(queue) = self.queues.get_mut(file) {
            queue.busy = busy;
        }
    }

    /// A message leaves its queue.
    fn finish(&mut self, file: &Arc<str>, answered: Answered) {
        let device = sender(&answered.uplink);
        if let Some((_, count)) = self.senders.get_mut(&device) {
            *count -= 1;
            if *count == 0 {
                self.senders.remove(&device);
            }
        }
        if self.queues.get(file).is_some_and(|queue| !queue.is_empty()) {
            self.next.push_back(Arc::clone(file));
        }
        self.done.push_back(answered);
    }
}

fn sender(uplink: &Uplink) -> String {
    uplink
        .device
        .as_ref()
        .map(|device| DeviceAddress::canonical(device.as_str()).into_owned())
        .unwrap_or_default()
}

fn file_of(script: &Arc<Codec>) -> Arc<str> {
    script.script_file().unwrap_or_default().into()
}

/// What no script is needed for.
fn read(Message { uplink, reader }: Message) -> Answered {
    let mut measurements = Measurements::default();
    let result = reader.read(&input(&uplink), &mut measurements).map_err(Refusal::Undecodable);
    Answered { uplink, measurements, result }
}

fn refused(Message { uplink, reader }: Message, why: Refusal) -> Answered {
    let mut measurements = Measurements::default();
    let radio = reader.pass_over(&mut measurements).map_err(Refusal::Undecodable);
    Answered { uplink, measurements, result: radio.and(Err(why)) }
}
