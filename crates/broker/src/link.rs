//! One client's connection after its CONNECT: bytes from the socket to the engine, and back.
//!
//! Written as a future by hand, because a gateway has thousands of them, mostly idle: an idle one holds no buffer.
//! A busy one does a bounded piece of work, and lets the others do theirs: see [`Turn`].

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use broker_engine::{Closed, ConnectionKey, Output, Rest};
use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

use crate::hub::{Exchanged, Hub};
use crate::inbox::Inbox;
use crate::receive_memory::{Holding, ReceiveShare};

/// How long a connection that must end may take to send its last bytes.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);
/// Bytes that are read, and encoded, at once.
pub(crate) const CHUNK: usize = 64 << 10;

thread_local! {
    /// Shared by all connections of a thread, because it is used only within one poll.
    static BUFFERS: RefCell<(Vec<u8>, Output)> = RefCell::new((vec![0; CHUNK], Output::default()));
}

/// Resolves to whether the adapters took the messages.
type Delivery = Pin<Box<dyn Future<Output = bool> + Send>>;

/// A connected client. It ends when the connection does; if it is dropped before, the connection counts as lost.
pub(crate) struct Link<S> {
    hub: Arc<Hub>,
    key: ConnectionKey,
    stream: S,
    inbox: Inbox,
    share: Arc<ReceiveShare>,
    unsent: VecDeque<Bytes>,
    /// Messages of this connection are in [`Hub::gathering`].
    has_gathered: bool,
    /// Messages that wait for room in an adapter's queue. Nothing is read meanwhile.
    delivery: Option<Delivery>,
    wants_more: bool,
    is_ending: bool,
    close_timer: Option<Pin<Box<Sleep>>>,
    /// Of what was begun with this number in [`ReceiveShare`].
    packet_timer: Option<(u64, Pin<Box<Sleep>>)>,
}

/// What a connection did since it was polled. All connections share one thread, so that each must stop now and then.
#[derive(Default)]
struct Turn {
    work: u64,
    bytes: usize,
}

impl Turn {
    const WORK: u64 = 500;
    const BYTES: usize = 2 * CHUNK;

    const fn is_over(&self) -> bool {
        self.work >= Self::WORK || self.bytes >= Self::BYTES
    }
}

/// Wakes the task after all others that are ready, and after those for which something has come meanwhile. A task that wakes
/// itself at once is polled some sixty times before tokio looks whether anything has come for the others.
fn wake_last(cx: &mut Context<'_>) {
    let _ = pin!(tokio::task::yield_now()).poll(cx);
}

impl<S> Drop for Link<S> {
    fn drop(&mut self) {
        let (key, closed) = (self.key, self.inbox.ended.unwrap_or(Closed::Lost));
        // What a client sent before it went counts.
        if self.has_gathered {
            for local in self.hub.gathering.deliver(&self.hub, self.key) {
                self.hub.tap.spawn_delivery(&self.hub, local);
            }
        }
        self.hub.forget_task(key);
        self.hub.with(|engine, now| engine.close(key, closed, now));
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Future for Link<S> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        // An error of the socket ends the connection, and there is nothing more to say about it.
        let polled = BUFFERS.with_borrow_mut(|(input, output)| {
            // An error may have left what another connection could not send.
            output.clear();
            this.poll_all(cx, input, output)
        });
        match polled {
            Poll::Ready(_) => Poll::Ready(()),
            Poll::Pending => {
                this.poll_packet_timer(cx);
                this.poll_close_timer(cx)
            }
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Link<S> {
    /// `rest` are bytes that came after the CONNECT.
    pub(crate) fn new(
        hub: Arc<Hub>,
        key: ConnectionKey,
        stream: S,
        share: Arc<ReceiveShare>,
        rest: Vec<u8>,
    ) -> Self {
        Self {
            hub,
            key,
            stream,
            share,
            inbox: Inbox::new(rest),
            unsent: VecDeque::new(),
            has_gathered: false,
            delivery: None,
            wants_more: true,
            is_ending: false,
            close_timer: None,
            packet_timer: None,
        }
    }

    /// Sends, reads and handles until all of it must wait.
    fn poll_all(
        &mut self,
        cx: &mut Context<'_>,
        input: &mut [u8],
        output: &mut Output,
    ) -> Poll<io::Result<()>> {
        // What the engine has to send is taken at least once a poll, because the poll may be for that.
        let mut is_drained = false;
        // Bytes that were kept for want of room in an adapter's queue are not handled by reading.
        let mut look_again = !self.inbox.is_empty();
        self.start_delivery();
        let mut turn = Turn::default();
        loop {
            if !self.poll_delivery(cx) {
                return Poll::Ready(Ok(()));
            }
            let flushed = self.poll_flush(cx)?;
            if self.is_ending && flushed.is_ready() {
                return self.poll_linger(cx, input);
            }
            let may_take =
                self.delivery.is_none() && !self.has_gathered && self.wants_more && !self.is_ending;
            look_again |= self.inbox.is_held_back();
            let mut read = ReadBuf::new(input);
            let received = match may_take {
                true if std::mem::take(&mut look_again) => true,
                true => match Pin::new(&mut self.stream).poll_read(cx, &mut read)? {
                    Poll::Ready(()) if read.filled().is_empty() => return Poll::Ready(Ok(())),
                    received => received.is_ready(),
                },
                false => false,
            };
            if !received && is_drained {
                return Poll::Pending;
            }
            let may_send = flushed.is_ready();
            turn.bytes += read.filled().len();
            is_drained = self.exchange(cx, read.filled(), may_send.then_some(output), &mut turn);
            if may_send {
                turn.bytes += output.len();
                self.write_output(cx, output)?;
            }
            if turn.is_over() {
                wake_last(cx);
                return Poll::Pending;
            }
        }
    }

    /// Gives the engine what came, and takes what there is to send. Returns whether nothing more can be done at once.
    fn exchange(
        &mut self,
        cx: &mut Context<'_>,
        bytes: &[u8],
        output: Option<&mut Output>,
        turn: &mut Turn,
    ) -> bool {
        let can_send = output.is_some();
        let may_take = self.delivery.is_none() && !self.has_gathered && !self.is_ending;
        let exchanged = self.hub.exchange(
            self.key,
            cx.waker(),
            (&mut self.inbox, &self.share),
            (may_take, bytes),
            output,
        );
        let Exchanged { rest, wants_more, locals, work } = exchanged;
        turn.work += work;
        self.wants_more = wants_more;
        self.is_ending |= rest == Rest::Close || self.inbox.ended.is_some();
        if !locals.is_empty() {
            self.hub.gathering.add(self.key, locals);
            self.has_gathered = true;
            wake_last(cx);
        }
        if rest == Rest::Later {
            wake_last(cx);
        }
        rest != Rest::More || !can_send
    }

    fn start_delivery(&mut self) {
        if !std::mem::take(&mut self.has_gathered) {
            return;
        }
        let waiting = self.hub.gathering.deliver(&self.hub, self.key);
        if !waiting.is_empty() {
            let hub = Arc::clone(&self.hub);
            self.delivery = Some(Box::pin(async move { hub.tap.deliver(&hub, waiting).await }));
        }
    }

    /// Returns false if the connection must end, because a message was not taken.
    fn poll_delivery(&mut self, cx: &mut Context<'_>) -> bool {
        let Some(delivery) = &mut self.delivery else { return true };
        match delivery.as_mut().poll(cx) {
            Poll::Ready(taken) => {
                self.delivery = None;
                taken
            }
            Poll::Pending => true,
        }
    }

    /// Writes at once what the socket takes; keeps the rest.
    fn write_output(&mut self, cx: &mut Context<'_>, output: &mut Output) -> io::Result<()> {
        if output.pieces.is_empty() && self.unsent.is_empty() && !output.tail.is_empty() {
            let written = match Pin::new(&mut self.stream).poll_write(cx, &output.tail) {
                Poll::Ready(written) => written?,
                Poll::Pending => 0,
            };
            if let Some(rest) = output.tail.get(written..).filter(|rest| !rest.is_empty()) {
                self.unsent.push_back(Bytes::copy_from_slice(rest));
            }
        } else {
            self.unsent.extend(output.pieces.drain(..));
            if !output.tail.is_empty() {
                self.unsent.push_back(Bytes::copy_from_slice(&output.tail));
            }
        }
        output.clear();
        Ok(())
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while let Some(bytes) = self.unsent.front_mut() {
            let written = ready!(Pin::new(&mut self.stream).poll_write(cx, bytes))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            let _ = bytes.split_to(written.min(bytes.len()));
            if bytes.is_empty() {
                self.unsent.pop_front();
            }
        }
        self.unsent.shrink_to(0);
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    /// Reads and forgets what the client still sends, until it has seen the end: to close before would make its system discard
    /// the DISCONNECT that says why.
    fn poll_linger(&mut self, cx: &mut Context<'_>, input: &mut [u8]) -> Poll<io::Result<()>> {
        if self.inbox.ended == Some(Closed::ByClient) {
            return Poll::Ready(Ok(()));
        }
        ready!(Pin::new(&mut self.stream).poll_shutdown(cx))?;
        loop {
            let mut read = ReadBuf::new(input);
            ready!(Pin::new(&mut self.stream).poll_read(cx, &mut read))?;
            if read.filled().is_empty() {
                return Poll::Ready(Ok(()));
            }
        }
    }

    /// A client whose large packet, or WebSocket message, does not come whole is cut off: others need its memory. While we do not
    /// read, it has time.
    fn poll_packet_timer(&mut self, cx: &mut Context<'_>) {
        let may_read = self.delivery.is_none() && self.wants_more && !self.is_ending;
        let number = match self.share.poll(cx) {
            Holding::Pieces { oldest } if may_read => oldest,
            Holding::Cut if self.inbox.ended.is_none() => {
                self.give_up(
                    cx,
                    "others need the memory of its large packet, and its user has most (max_memory)",
                );
                return;
            }
            _ => {
                self.packet_timer = None;
                return;
            }
        };
        if self.packet_timer.as_ref().is_none_or(|(known, _)| *known != number) {
            self.packet_timer = Some((number, Box::pin(sleep(self.hub.packet_timeout))));
        }
        let Some((_, timer)) = &mut self.packet_timer else { return };
        if timer.as_mut().poll(cx).is_ready() {
            self.give_up(cx, "a large packet did not come whole in time (packet_timeout)");
        }
    }

    fn give_up(&mut self, cx: &Context<'_>, why: &'static str) {
        self.share.cut();
        let (inbox, key) = (&mut self.inbox, self.key);
        self.hub.with(|engine, _| inbox.give_up(engine, key, why));
        self.packet_timer = None;
        cx.waker().wake_by_ref();
    }

    /// A client that does not take its last bytes is cut off.
    fn poll_close_timer(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if !self.is_ending {
            return Poll::Pending;
        }
        self.close_timer.get_or_insert_with(|| Box::pin(sleep(CLOSE_TIMEOUT))).as_mut().poll(cx)
    }
}
