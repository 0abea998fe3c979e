//! One node: sends posts one after the other, and reports the result of each.

use std::sync::Arc;
use std::time::Duration;

use coap_link::dtls::HandshakeFailure;
use coap_link::{Code, RequestFailure, Response};
use tokio::sync::{Semaphore, mpsc};
use tokio::time::sleep;

use super::channel::Channel;
use super::post::Post;

/// The longest pause after 5.03, for any Max-Age.
const MAX_BUSY_PAUSE: Duration = Duration::from_secs(60);
/// The pause between two attempts to open a session.
const HANDSHAKE_PAUSE: Duration = Duration::from_secs(2);
/// How often a post is started again because its session ended.
const SESSIONS_PER_POST: usize = 3;

/// The result of a post.
#[derive(Debug)]
pub(super) struct Delivery {
    pub(super) readings: u32,
    pub(super) answer: Answer,
    /// The number of repetitions.
    pub(super) repeated: u64,
}

#[derive(Debug)]
pub(super) enum Answer {
    /// 2.xx: the gateway has it.
    Acknowledged,
    /// The gateway refuses it, with the reason.
    Refused(String),
    None,
}

pub(super) struct Node {
    channel: Channel,
    posts: mpsc::Receiver<Post>,
    results: mpsc::Sender<Delivery>,
    /// A node holds a permit while it opens a session.
    handshakes: Arc<Semaphore>,
}

impl Node {
    pub(super) const fn new(
        channel: Channel,
        posts: mpsc::Receiver<Post>,
        results: mpsc::Sender<Delivery>,
        handshakes: Arc<Semaphore>,
    ) -> Self {
        Self { channel, posts, results, handshakes }
    }

    /// Runs until there are no more posts.
    pub(super) async fn run(mut self) {
        loop {
            let post = tokio::select! {
                biased;
                post = self.posts.recv() => post,
                () = self.channel.idle() => None,
            };
            let Some(post) = post else { break };
            let before = self.channel.retransmitted();
            let (answer, again) = self.deliver(&post).await;
            let repeated = again + self.channel.retransmitted().saturating_sub(before);
            let delivery = Delivery { readings: post.readings, answer, repeated };
            if self.results.send(delivery).await.is_err() {
                break;
            }
        }
        self.channel.close().await;
    }

    /// Sends a post until it has a final answer; also returns the number of repetitions.
    async fn deliver(&mut self, post: &Post) -> (Answer, u64) {
        let (mut again, mut sessions) = (0, 1);
        loop {
            if let Err(answer) = self.connect().await {
                return (answer, again);
            }
            match self.channel.ask(post.request.clone()).await {
                Ok(response) if response.code.is_success() => return (Answer::Acknowledged, again),
                Ok(response) if is_busy(&response) => {
                    sleep(response.freshness().min(MAX_BUSY_PAUSE)).await;
                }
                Ok(response) => return (Answer::Refused(reason(post, &response)), again),
                Err(failure @ RequestFailure::Reset) => return (Answer::Refused(failure.to_string()), again),
                Err(RequestFailure::Closed) if sessions < SESSIONS_PER_POST => sessions += 1,
                Err(_) => {
                    // A restarted gateway has lost the session.
                    self.channel.close().await;
                    return (Answer::None, again);
                }
            }
            again += 1;
        }
    }

    async fn connect(&mut self) -> Result<(), Answer> {
        if !self.channel.needs_session() {
            return Ok(());
        }
        // The semaphore is never closed.
        let _permit = self.handshakes.acquire().await;
        let Err(refusal) = self.channel.open_session().await else { return Ok(()) };
        sleep(HANDSHAKE_PAUSE).await;
        Err(match refusal {
            HandshakeFailure::Timeout => Answer::None,
            refusal => Answer::Refused(format!("no DTLS session: {refusal}")),
        })
    }
}

fn is_busy(response: &Response) -> bool {
    matches!(response.code, Code::SERVICE_UNAVAILABLE | Code::TOO_MANY_REQUESTS)
}

fn reason(post: &Post, response: &Response) -> String {
    let path = post.request.path.join("/");
    format!("{} to /{path}: {}", response.code, response.payload.escape_ascii())
}
