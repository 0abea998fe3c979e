//! Connects, hands over what comes, and connects again: the loop under [`crate::Subscriber`] and [`crate::Publisher`].
//!
//! Every connection is a new rumqttc client and event loop. The loop runs in a task of its own and never drops a poll
//! half-way except by dropping the connection with it: a cancelled poll can lose an acknowledgement.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::link::{self, Client, Connected, EventLoop, LinkError, Packet, READ_AT_ONCE, Refusal};
use crate::{Message, Options, Qos, Session, explain, tls};

/// Signals that may wait for the owner; beyond that the socket is left alone.
const SIGNALS: usize = 128;
/// A connection that held this long was a good one: the next trouble starts with short pauses again.
const STABLE_AFTER: Duration = Duration::from_secs(10);
/// How long a DISCONNECT may take to leave.
const GOODBYE: Duration = Duration::from_secs(1);

/// A filter that the broker does not let us subscribe to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusedFilter {
    /// As it was asked for.
    pub filter: String,
    /// Why, for people.
    pub reason: &'static str,
}

/// What the owner learns.
#[derive(Debug)]
pub(crate) enum Signal {
    /// Connected, and all SUBACKs are there.
    Up {
        client: Arc<Client>,
        connected: Connected,
        refused: Vec<RefusedFilter>,
    },
    Message(Message),
    Sent(u16),
    Acked {
        pkid: u16,
        refusal: Option<Refusal>,
    },
    /// The connection is gone, or an attempt failed.
    Down {
        reason: String,
    },
}

/// A running loop; dropped, it vanishes without a DISCONNECT, so that the broker publishes the will.
#[derive(Debug)]
pub(crate) struct Running {
    pub(crate) signals: mpsc::Receiver<Signal>,
    task: JoinHandle<()>,
    stop: CancellationToken,
}

impl Running {
    pub(crate) fn start(options: Options, filters: Vec<(String, Qos)>) -> Self {
        let (sender, signals) = mpsc::channel(SIGNALS);
        let stop = CancellationToken::new();
        let driver = Driver { options, filters, signals: sender, stop: stop.clone(), discard_session: false };
        Self { signals, task: tokio::spawn(driver.run()), stop }
    }

    /// Sends what was asked for before, then DISCONNECT; gives up after a second.
    pub(crate) async fn disconnect(&mut self) {
        self.signals.close();
        self.stop.cancel();
        // Fails only where the task panicked, which has been reported by then.
        let _ = (&mut self.task).await;
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Driver {
    options: Options,
    filters: Vec<(String, Qos)>,
    signals: mpsc::Sender<Signal>,
    stop: CancellationToken,
    /// The broker's queue for us begins with a packet we cannot take; have it thrown away.
    discard_session: bool,
}

impl Driver {
    async fn run(mut self) {
        let mut backoff = self.options.backoff.clone();
        loop {
            let began = Instant::now();
            let Err(error) = self.connection().await else { return };
            if began.elapsed() >= STABLE_AFTER {
                backoff.reset();
            }
            self.discard_session = error.oversized && self.options.session != Session::Clean;
            tracing::debug!(url = %self.options.url, reason = %error.reason, "no connection");
            if self.signals.send(Signal::Down { reason: error.reason }).await.is_err() {
                return;
            }
            tokio::select! {
                () = sleep(backoff.next_wait(rand::random())) => {}
                () = self.stop.cancelled() => return,
            }
        }
    }

    /// One connection, from first to last. `Ok` where it was ended by its owner.
    async fn connection(&mut self) -> Result<(), LinkError> {
        let tls = self.tls().await?;
        if self.discard_session {
            self.discard(tls.clone()).await?;
            self.discard_session = false;
        }
        let (client, events) = link::open(&self.options, tls, false);
        Live { driver: self, client: Arc::new(client), events, connected: None }.run().await
    }

    /// Certificates are read for every connection: they may have been renewed.
    async fn tls(&self) -> Result<Option<Arc<rustls::ClientConfig>>, LinkError> {
        if !self.options.url.is_tls() {
            return Ok(None);
        }
        let files = self.options.tls.clone();
        let loaded = tokio::task::spawn_blocking(move || tls::load(&files)).await;
        let loaded = loaded.map_err(|error| LinkError::new(error.to_string()))?;
        loaded.map(Some).map_err(|error| LinkError::new(explain::chain(&error)))
    }

    /// Connects with a clean session, which makes the broker forget what it had queued, and leaves at once.
    async fn discard(&self, tls: Option<Arc<rustls::ClientConfig>>) -> Result<(), LinkError> {
        let (client, mut events) = link::open(&self.options, tls, true);
        let mut packets = Vec::new();
        loop {
            events.poll(&mut packets).await?;
            for packet in packets.drain(..) {
                match packet {
                    Packet::Connected(_) => client.disconnect(),
                    Packet::Disconnected => return Ok(()),
                    _ => {}
                }
            }
        }
    }
}

/// A connection that is up or coming up.
struct Live<'a> {
    driver: &'a Driver,
    client: Arc<Client>,
    events: EventLoop,
    connected: Option<Connected>,
}

impl Live<'_> {
    async fn run(mut self) -> Result<(), LinkError> {
        let options = &self.driver.options;
        // rumqttc says something once per keep-alive; silence for longer means that it is stuck in a write.
        let patience = (3 * options.keep_alive()).max(options.connect_timeout + GOODBYE);
        let mut goodbye = None;
        let mut packets = Vec::with_capacity(2 * READ_AT_ONCE);
        loop {
            let polled = {
                let mut poll = pin!(self.events.poll(&mut packets));
                let mut stuck = pin!(sleep(patience));
                loop {
                    tokio::select! {
                        biased;
                        polled = &mut poll => break polled,
                        () = self.driver.stop.cancelled(), if goodbye.is_none() => {
                            if self.connected.is_none() {
                                return Ok(());
                            }
                            self.client.disconnect();
                            goodbye = Some(Instant::now() + GOODBYE);
                        }
                        () = until(goodbye) => return Ok(()),
                        () = &mut stuck => return Err(LinkError::new(explain::STALLED)),
                    }
                }
            };
            let read = packets.len();
            let mut only_qos0 = true;
            for packet in packets.drain(..) {
                match &packet {
                    Packet::Disconnected => return Ok(()),
                    Packet::Message(message) => only_qos0 &= message.qos == Qos::AtMostOnce,
                    _ => only_qos0 = false,
                }
                let Some(signal) = translate(self.driver, &self.client, &mut self.connected, packet)? else {
                    continue;
                };
                // Fails where the owner says goodbye: what it did not take it does not want.
                let _ = self.driver.signals.send(signal).await;
            }
            if let Err(error) = polled {
                return if goodbye.is_some() { Ok(()) } else { Err(error) };
            }
            if only_qos0 && (1..READ_AT_ONCE).contains(&read) && !self.driver.options.linger.is_zero() {
                sleep(self.driver.options.linger).await;
            }
        }
    }
}

/// Forever where there is no such time.
async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

fn translate(
    driver: &Driver,
    client: &Arc<Client>,
    connected: &mut Option<Connected>,
    packet: Packet,
) -> Result<Option<Signal>, LinkError> {
    let up = |connected, refused| Some(Signal::Up { client: Arc::clone(client), connected, refused });
    Ok(match packet {
        Packet::Connected(now) => {
            *connected = Some(now);
            if driver.filters.is_empty() {
                up(now, Vec::new())
            } else {
                let invalid = |_| LinkError::new("the topic filters are not valid; check topics");
                client.subscribe(&driver.filters).map_err(invalid)?;
                None
            }
        }
        Packet::Subscribed(codes) => {
            let refused = driver.filters.iter().zip(codes).filter_map(|((filter, _), refused)| {
                refused.map(|reason| RefusedFilter { filter: filter.clone(), reason })
            });
            connected.and_then(|connected| up(connected, refused.collect()))
        }
        Packet::Message(raw) => Message::new(raw, client).map(Signal::Message),
        Packet::Sent(pkid) => Some(Signal::Sent(pkid)),
        Packet::Acked { pkid, refusal } => Some(Signal::Acked { pkid, refusal }),
        Packet::Disconnected => None,
    })
}
