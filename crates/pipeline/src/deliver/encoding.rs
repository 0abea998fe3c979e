//! Messages of actions that must be prepared before they can be sent: a device's codec makes their bytes.
//!
//! Messages are prepared one after the other and leave in the order in which they came; at most [`MAX_WAITING`] wait.
//! One that does not come back is given up ([`codecs::script_thread`]) and fails alone.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use codecs::script_thread::ScriptRunner;
use gateway_core::ports::{Prepare, Target};
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;

/// Messages that wait to be prepared, at most.
const MAX_WAITING: usize = 64;

/// Where a message goes and its bytes, or why there is none.
pub type Prepared = Result<(Target, Bytes), String>;
type Then = Box<dyn FnOnce(Prepared) + Send>;

/// Prepares messages, one after the other.
#[derive(Default)]
pub struct PrepareQueue(OnceLock<mpsc::Sender<(Arc<dyn Prepare>, Then)>>);

impl PrepareQueue {
    /// Takes a message; `then` is called with what came of it. False where too many wait.
    pub fn push(&self, message: &Arc<dyn Prepare>, then: impl FnOnce(Prepared) + Send + 'static) -> bool {
        let waiting = self.0.get_or_init(|| {
            let (waiting, next) = mpsc::channel(MAX_WAITING);
            tokio::spawn(work(next));
            waiting
        });
        waiting.try_send((Arc::clone(message), Box::new(then))).is_ok()
    }
}

async fn work(mut next: mpsc::Receiver<(Arc<dyn Prepare>, Then)>) {
    let mut scripts = ScriptRunner::default();
    while let Some((message, then)) = next.recv().await {
        let prepared = spawn_blocking(move || {
            let prepared = scripts.run(move || message.prepare());
            (scripts, prepared)
        });
        let Ok((back, prepared)) = prepared.await else { return };
        scripts = back;
        then(prepared.unwrap_or_else(|lost| Err(gateway_core::chain(&lost))));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Numbered(usize);

    impl Prepare for Numbered {
        fn prepare(&self) -> Prepared {
            Ok((Target::new(self.0), Bytes::new()))
        }
    }

    #[tokio::test]
    async fn messages_leave_in_the_order_in_which_they_came_and_too_many_are_refused() {
        let queue = PrepareQueue::default();
        let (sender, mut prepared) = mpsc::unbounded_channel();
        let taken = (0..=MAX_WAITING).filter(|number| {
            let message: Arc<dyn Prepare> = Arc::new(Numbered(*number));
            let sender = sender.clone();
            queue.push(&message, move |prepared| sender.send(prepared).unwrap())
        });
        assert_eq!(taken.count(), MAX_WAITING, "none has been prepared yet");
        for number in 0..MAX_WAITING {
            let (target, _) = prepared.recv().await.unwrap().unwrap();
            assert_eq!(target.get::<usize>(), Some(&number));
        }
    }
}
