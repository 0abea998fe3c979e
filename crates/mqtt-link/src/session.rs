//! The connection loop under [`crate::Subscriber`] and [`crate::Publisher`]: connects, delivers packets, reconnects.
//!
//! Every connection has its own rumqttc client and event loop. The loop runs in its own task and cancels a poll only together
//! with the connection, because a cancelled poll can lose an acknowledgement.
//!
//! Nothing that a broker sends ends the loop: a protocol violation, or a panic in rumqttc, ends that connection only. A
//! connection without packets, in whichever direction it is dead, is closed after one and a half keep-alive intervals.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use gateway_core::{Timestamp, guarded};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::link::{self, Client, Connected, EventLoop, LinkError, Packet, READ_AT_ONCE, Refusal};
use crate::watchdog::ConnectionWatchdog;
use crate::{Message, Options, Qos, Session, explain, suspend, tls};

/// Signals queued for the owner. When the queue is full, the socket is not read.
const SIGNAL_QUEUE: usize = 128;
/// After a connection that lasted this long, pauses start short again.
const STABLE_AFTER: Duration = Duration::from_secs(10);
/// A failed attempt with the same reason as the last is reported again after this time only.
const REPEAT_AFTER: Duration = Duration::from_secs(300);
/// The longest pause while a certificate is not valid yet, because the clock may be set at any moment.
const MAX_CLOCK_PAUSE: Duration = Duration::from_secs(10);
/// After a suspension of at least this length the next attempt follows at once.
const SLEEP_THRESHOLD: Duration = Duration::from_secs(5);
/// The time limit of a graceful disconnect.
const DISCONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// A topic filter that the broker rejected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusedFilter {
    pub filter: String,
    pub reason: &'static str,
}

/// What the loop reports to its owner.
#[derive(Debug)]
pub(crate) enum Signal {
    /// Connected, and all SUBACKs have arrived.
    Up {
        client: Arc<Client>,
        connected: Connected,
        refused: Vec<RefusedFilter>,
        /// The number of the attempt that succeeded: the first is 0.
        attempt: u64,
    },
    Message(Message),
    Sent(u16),
    Acked {
        pkid: u16,
        refusal: Option<Refusal>,
    },
    /// The connection ended or an attempt failed. The same failure is repeated every [`REPEAT_AFTER`] only.
    Down {
        reason: String,
    },
}

/// The running loop. Dropping it closes the connection without a DISCONNECT, so the broker publishes the will.
#[derive(Debug)]
pub(crate) struct ConnectionTask {
    pub(crate) signals: mpsc::Receiver<Signal>,
    task: JoinHandle<()>,
    stop: CancellationToken,
}

impl ConnectionTask {
    pub(crate) fn start(options: Options, filters: Vec<(String, Qos)>) -> Self {
        let (sender, signals) = mpsc::channel(SIGNAL_QUEUE);
        let stop = CancellationToken::new();
        let driver = Driver {
            options,
            filters,
            signals: sender,
            stop: stop.clone(),
            discard_session: false,
            attempt: 0,
        };
        Self { signals, task: tokio::spawn(driver.run()), stop }
    }

    /// Sends pending requests, then DISCONNECT; gives up after a second.
    pub(crate) async fn disconnect(&mut self) {
        self.signals.close();
        self.stop.cancel();
        // Fails only if the task panicked, which is reported already.
        let _ = (&mut self.task).await;
    }
}

impl Drop for ConnectionTask {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Driver {
    options: Options,
    filters: Vec<(String, Qos)>,
    signals: mpsc::Sender<Signal>,
    stop: CancellationToken,
    /// The broker's queue starts with a packet that is too large for us; let the broker discard the session.
    discard_session: bool,
    /// The number of the current attempt.
    attempt: u64,
}

impl Driver {
    async fn run(mut self) {
        let mut backoff = self.options.backoff.clone();
        let mut reported = FailureFilter::default();
        loop {
            let started = Instant::now();
            let error = match guarded(self.connection()).await {
                Ok(Ok(())) => return,
                Ok(Err(error)) => error,
                Err(panic) => LinkError::new(format!("{}: {panic}", explain::BUG)),
            };
            if started.elapsed() >= STABLE_AFTER {
                backoff.reset();
            }
            self.discard_session = error.oversized && self.options.session != Session::Clean;
            let mut pause = backoff.next_wait(rand::random());
            if error.not_yet_valid.is_some() {
                pause = pause.min(MAX_CLOCK_PAUSE);
            }
            self.attempt += 1;
            let reason = self.reason(&error);
            tracing::debug!(url = %self.options.url, %reason, "no connection");
            if reported.should_report(&error) && self.signals.send(Signal::Down { reason }).await.is_err() {
                return;
            }
            tokio::select! {
                () = sleep(pause) => {}
                () = suspend::resumed(SLEEP_THRESHOLD) => backoff.reset(),
                () = self.stop.cancelled() => return,
            }
        }
    }

    fn reason(&self, error: &LinkError) -> String {
        let not_yet_valid = error.not_yet_valid.map(|it| it.explain(self.options.url.host()));
        not_yet_valid.unwrap_or_else(|| error.reason.clone())
    }

    /// One connection from start to end. `Ok` if the owner ended it.
    async fn connection(&mut self) -> Result<(), LinkError> {
        let tls = self.tls().await?;
        if self.discard_session {
            let watchdog = 2 * self.options.connect_timeout + DISCONNECT_TIMEOUT;
            let discarded = tokio::time::timeout(watchdog, self.discard(tls.clone()));
            match self.stop.run_until_cancelled(discarded).await {
                None => return Ok(()),
                Some(done) => done.map_err(|_| LinkError::new(explain::NO_ANSWER))??,
            }
            self.discard_session = false;
        }
        if let Some(source) = &self.options.will_source {
            self.options.last_will = Some(source.will(self.attempt));
        }
        let (client, events) = link::open(&self.options, tls, false);
        LiveConnection { driver: self, client: Arc::new(client), events, connected: None }.run().await
    }

    /// Certificates are read for every connection, because they may have been renewed.
    async fn tls(&self) -> Result<Option<Arc<rustls::ClientConfig>>, LinkError> {
        if !self.options.url.is_tls() {
            return Ok(None);
        }
        tls::load_in_background(&self.options.tls).await.map(Some).map_err(LinkError::new)
    }

    /// Connects with a clean session, so that the broker discards its queue, and disconnects at once.
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

/// Holds back repeated failures.
#[derive(Default)]
struct FailureFilter(Option<(Failure, Instant)>);

/// Two failures are the same if these are equal.
#[derive(PartialEq)]
enum Failure {
    NotYetValid { from: Timestamp },
    Other { reason: String },
}

impl FailureFilter {
    /// Whether to report the failure; it then counts as reported. The end of an established connection always is.
    fn should_report(&mut self, error: &LinkError) -> bool {
        let failure = match error.not_yet_valid {
            Some(it) => Failure::NotYetValid { from: it.from },
            None => Failure::Other { reason: error.reason.clone() },
        };
        let known = self.0.as_ref().is_some_and(|(last, at)| *last == failure && at.elapsed() < REPEAT_AFTER);
        if known && !error.was_connected {
            return false;
        }
        self.0 = Some((failure, Instant::now()));
        true
    }
}

/// A connection that is established or being established.
struct LiveConnection<'a> {
    driver: &'a Driver,
    client: Arc<Client>,
    events: EventLoop,
    connected: Option<Connected>,
}

impl LiveConnection<'_> {
    async fn run(mut self) -> Result<(), LinkError> {
        let ended = self.drive().await;
        ended.map_err(|error| LinkError { was_connected: self.connected.is_some(), ..error })
    }

    async fn drive(&mut self) -> Result<(), LinkError> {
        let options = &self.driver.options;
        // MQTT 5, section 3.1.2.10: by then the broker has closed the connection.
        let mut resumed = pin!(suspend::resumed(options.keep_alive() * 3 / 2));
        let mut watchdog = ConnectionWatchdog::default();
        let mut disconnect_deadline = None;
        let mut packets = Vec::with_capacity(2 * READ_AT_ONCE);
        loop {
            let started = Instant::now();
            let polled = {
                let mut poll = pin!(self.events.poll(&mut packets));
                let mut silence_limit = pin!(sleep(watchdog.time_left(options)));
                loop {
                    tokio::select! {
                        biased;
                        polled = &mut poll => break polled,
                        () = self.driver.stop.cancelled(), if disconnect_deadline.is_none() => {
                            if self.connected.is_none() {
                                return Ok(());
                            }
                            self.client.disconnect();
                            disconnect_deadline = Some(Instant::now() + DISCONNECT_TIMEOUT);
                        }
                        () = sleep_until_some(disconnect_deadline) => return Ok(()),
                        () = &mut silence_limit => return Err(LinkError::new(explain::STALLED)),
                        () = &mut resumed => return Err(LinkError::new(explain::MACHINE_SLEPT)),
                    }
                }
            };
            watchdog.packets_received(&packets, started.elapsed());
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
                // Fails while the owner disconnects: it wants no further signals.
                let _ = self.driver.signals.send(signal).await;
            }
            if let Err(error) = polled {
                return if disconnect_deadline.is_some() { Ok(()) } else { Err(error) };
            }
            if watchdog.ack_timed_out(options) {
                return Err(LinkError::new(explain::NO_ACK));
            }
            if only_qos0 && (1..READ_AT_ONCE).contains(&read) && !self.driver.options.linger.is_zero() {
                sleep(self.driver.options.linger).await;
            }
        }
    }
}

/// Never ready if there is no deadline.
async fn sleep_until_some(deadline: Option<Instant>) {
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
    let attempt = driver.attempt;
    let up =
        |connected, refused| Some(Signal::Up { client: Arc::clone(client), connected, refused, attempt });
    Ok(match packet {
        // A second CONNACK would make the owner forget the messages in flight.
        Packet::Connected(_) if connected.is_some() => return Err(LinkError::new(explain::NOT_MQTT)),
        Packet::Connected(now) => {
            *connected = Some(now);
            if driver.filters.is_empty() {
                up(now, Vec::new())
            } else {
                let invalid = |_| LinkError::new("the topic filters are not valid; check topics");
                client.subscribe(&driver.filters, driver.options.is_bridge).map_err(invalid)?;
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
            Message::new(raw.truncated(driver.options.max_packet_size), client).map(Signal::Message)
        }
        Packet::Sent(pkid) => Some(Signal::Sent(pkid)),
        Packet::Acked { pkid, refusal } => Some(Signal::Acked { pkid, refusal }),
        Packet::ProtocolViolation => return Err(LinkError::new(explain::NOT_MQTT)),
        Packet::Other | Packet::Disconnected => None,
    })
}

#[cfg(test)]
mod tests;
