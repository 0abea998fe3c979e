//! Connects, hands over what comes, and connects again: the loop under [`crate::Subscriber`] and [`crate::Publisher`].
//!
//! Every connection is a new rumqttc client and event loop. The loop runs in a task of its own and never drops a poll
//! half-way except by dropping the connection with it: a cancelled poll can lose an acknowledgement.
//!
//! Nothing that a broker sends ends the loop: what breaks the protocol, or makes rumqttc panic, ends that connection.
//! A connection over which nothing comes, in whichever direction it is dead, is given up after one and a half
//! keep-alives.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use gateway_core::{Timestamp, guarded};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::link::{self, Client, Connected, EventLoop, LinkError, Packet, READ_AT_ONCE, Refusal};
use crate::patience::Patience;
use crate::{Message, Options, Qos, Session, explain, sleep as machine, tls};

/// Signals that may wait for the owner; beyond that the socket is left alone.
const SIGNALS: usize = 128;
/// A connection that held this long was a good one: the next trouble starts with short pauses again.
const STABLE_AFTER: Duration = Duration::from_secs(10);
/// An attempt that fails for the same reason as the last is told again after this time only.
const REMIND_AFTER: Duration = Duration::from_secs(300);
/// Longest pause while a certificate is not valid yet: once the clock is set, all is well.
const WAIT_FOR_CLOCK: Duration = Duration::from_secs(10);
/// A sleep of the machine that is worth a new attempt at once.
const NAP: Duration = Duration::from_secs(5);
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
    /// The connection is gone, or an attempt failed; the same failure again is told every [`REMIND_AFTER`] only.
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
        let mut told = Told::default();
        loop {
            let began = Instant::now();
            let error = match guarded(self.connection()).await {
                Ok(Ok(())) => return,
                Ok(Err(error)) => error,
                Err(panic) => LinkError::new(format!("{}: {panic}", explain::BUG)),
            };
            if began.elapsed() >= STABLE_AFTER {
                backoff.reset();
            }
            self.discard_session = error.oversized && self.options.session != Session::Clean;
            let mut pause = backoff.next_wait(rand::random());
            if error.not_yet_valid.is_some() {
                pause = pause.min(WAIT_FOR_CLOCK);
            }
            let reason = self.reason(&error);
            tracing::debug!(url = %self.options.url, %reason, "no connection");
            if told.is_news(&error) && self.signals.send(Signal::Down { reason }).await.is_err() {
                return;
            }
            tokio::select! {
                () = sleep(pause) => {}
                () = machine::woken(NAP) => backoff.reset(),
                () = self.stop.cancelled() => return,
            }
        }
    }

    fn reason(&self, error: &LinkError) -> String {
        let not_yet_valid = error.not_yet_valid.map(|it| it.explain(self.options.url.host()));
        not_yet_valid.unwrap_or_else(|| error.reason.clone())
    }

    /// One connection, from first to last. `Ok` where it was ended by its owner.
    async fn connection(&mut self) -> Result<(), LinkError> {
        let tls = self.tls().await?;
        if self.discard_session {
            let patience = 2 * self.options.connect_timeout + GOODBYE;
            let discarded = tokio::time::timeout(patience, self.discard(tls.clone()));
            match self.stop.run_until_cancelled(discarded).await {
                None => return Ok(()),
                Some(done) => done.map_err(|_| LinkError::new(explain::NO_ANSWER))??,
            }
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
        loaded.map(Some).map_err(|error| LinkError::new(gateway_core::chain(&error)))
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

/// The failure that the owner was told of last.
#[derive(Default)]
struct Told(Option<(Failure, Instant)>);

/// What makes two failures the same to people.
#[derive(PartialEq)]
enum Failure {
    NotYetValid { from: Timestamp },
    Other { reason: String },
}

impl Told {
    /// Whether the owner is to be told; then it counts as told. The end of a connection always is.
    fn is_news(&mut self, error: &LinkError) -> bool {
        let failure = match error.not_yet_valid {
            Some(it) => Failure::NotYetValid { from: it.from },
            None => Failure::Other { reason: error.reason.clone() },
        };
        let known = self.0.as_ref().is_some_and(|(last, at)| *last == failure && at.elapsed() < REMIND_AFTER);
        if known && !error.was_connected {
            return false;
        }
        self.0 = Some((failure, Instant::now()));
        true
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
        let ended = self.attend().await;
        ended.map_err(|error| LinkError { was_connected: self.connected.is_some(), ..error })
    }

    async fn attend(&mut self) -> Result<(), LinkError> {
        let options = &self.driver.options;
        // MQTT 5, section 3.1.2.10: by then a broker has ended the connection.
        let mut woken = pin!(machine::woken(options.keep_alive() * 3 / 2));
        let mut patience = Patience::default();
        let mut goodbye = None;
        let mut packets = Vec::with_capacity(2 * READ_AT_ONCE);
        loop {
            let began = Instant::now();
            let polled = {
                let mut poll = pin!(self.events.poll(&mut packets));
                let mut stuck = pin!(sleep(patience.left(options)));
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
                        () = &mut woken => return Err(LinkError::new(explain::SLEPT)),
                    }
                }
            };
            patience.heard(&packets, began.elapsed());
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
            if patience.never_acknowledged(options) {
                return Err(LinkError::new(explain::NO_ACK));
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
        // A second one would make the owner forget what is in flight.
        Packet::Connected(_) if connected.is_some() => return Err(LinkError::new(explain::NOT_MQTT)),
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
        Packet::Subscribed(codes) if driver.filters.is_empty() || codes.len() != driver.filters.len() => {
            return Err(LinkError::new(explain::NOT_MQTT));
        }
        Packet::Subscribed(codes) => {
            let refused = driver.filters.iter().zip(codes).filter_map(|((filter, _), refused)| {
                refused.map(|reason| RefusedFilter { filter: filter.clone(), reason })
            });
            connected.and_then(|connected| up(connected, refused.collect()))
        }
        Packet::Message(raw) => {
            Message::new(raw.cut_to(driver.options.max_packet_size), client).map(Signal::Message)
        }
        Packet::Sent(pkid) => Some(Signal::Sent(pkid)),
        Packet::Acked { pkid, refusal } => Some(Signal::Acked { pkid, refusal }),
        Packet::Nonsense => return Err(LinkError::new(explain::NOT_MQTT)),
        Packet::Other | Packet::Disconnected => None,
    })
}

#[cfg(test)]
mod tests;
