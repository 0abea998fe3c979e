//! One node: takes posts in turn and gets each to the gateway, or says why not.

use std::sync::Arc;
use std::time::Duration;

use coap_link::dtls::HandshakeFailure;
use coap_link::{Code, RequestFailure, Response};
use tokio::sync::{Semaphore, mpsc};
use tokio::time::sleep;

use super::channel::Channel;
use super::post::Post;

/// Longer than this a node does not wait for room, whatever the gateway says.
const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// Between two attempts at a session.
const BETWEEN_HANDSHAKES: Duration = Duration::from_secs(2);
/// How often a post is begun anew because its session ended under it.
const SESSIONS_PER_POST: usize = 3;

/// What became of a post.
#[derive(Debug)]
pub(super) struct Delivery {
    pub(super) readings: u32,
    pub(super) answer: Answer,
    /// How often it was sent again.
    pub(super) repeated: u64,
}

#[derive(Debug)]
pub(super) enum Answer {
    /// 2.xx: the gateway has it.
    Acknowledged,
    /// The gateway does not want it, or not from us, and says why.
    Refused(String),
    None,
}

pub(super) struct Node {
    channel: Channel,
    posts: mpsc::Receiver<Post>,
    told: mpsc::Sender<Delivery>,
    /// Whoever begins a session holds one of these until it stands.
    handshakes: Arc<Semaphore>,
}

impl Node {
    pub(super) const fn new(
        channel: Channel,
        posts: mpsc::Receiver<Post>,
        told: mpsc::Sender<Delivery>,
        handshakes: Arc<Semaphore>,
    ) -> Self {
        Self { channel, posts, told, handshakes }
    }

    /// Until there are no more posts.
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
            if self.told.send(delivery).await.is_err() {
                break;
            }
        }
        self.channel.close().await;
    }

    /// Asks until there is an answer that is one; also how often it was asked again.
    async fn deliver(&mut self, post: &Post) -> (Answer, u64) {
        let (mut again, mut sessions) = (0, 1);
        loop {
            if let Err(answer) = self.connect().await {
                return (answer, again);
            }
            match self.channel.ask(post.request.clone()).await {
                Ok(response) if response.code.is_success() => return (Answer::Acknowledged, again),
                Ok(response) if has_no_room(&response) => {
                    sleep(response.freshness().min(LONGEST_WAIT)).await;
                }
                Ok(response) => return (Answer::Refused(reason(post, &response)), again),
                Err(failure @ RequestFailure::Reset) => return (Answer::Refused(failure.to_string()), again),
                Err(RequestFailure::Closed) if sessions < SESSIONS_PER_POST => sessions += 1,
                Err(_) => {
                    // A gateway that was started anew does not know the session.
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
        // It is never closed.
        let _permit = self.handshakes.acquire().await;
        let Err(refusal) = self.channel.open_session().await else { return Ok(()) };
        sleep(BETWEEN_HANDSHAKES).await;
        Err(match refusal {
            HandshakeFailure::Timeout => Answer::None,
            refusal => Answer::Refused(format!("no DTLS session: {refusal}")),
        })
    }
}

fn has_no_room(response: &Response) -> bool {
    matches!(response.code, Code::SERVICE_UNAVAILABLE | Code::TOO_MANY_REQUESTS)
}

fn reason(post: &Post, response: &Response) -> String {
    let path = post.request.path.join("/");
    format!("{} to /{path}: {}", response.code, response.payload.escape_ascii())
}
