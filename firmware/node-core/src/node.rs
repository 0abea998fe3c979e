//! The node: measures, judges, stores, sends, sleeps.
//!
//! Every report is stored before it is sent and removed when the gateway has acknowledged it. So a power cut costs at most the
//! reports that wait for others in RAM ([`Config::deadline`]).

use crate::backoff::Backoff;
use crate::board::{Board, Link, LinkError, Readings, Sensors, Store};
use crate::clock::Clock;
use crate::config::Config;
use crate::pending::Pending;
use crate::reporting::{Report, Reporting};
use crate::sampling::{Sampling, battery};
use crate::seal::Counters;
use crate::settings::Settings;
use crate::stored::{self, MAX_FRAME, MAX_STORED, Now};

/// How often the node says which image it runs and how many reports it has lost.
const ANNOUNCE_SECONDS: u32 = 24 * 3600;

/// How soon it does if it has lost more.
const ANNOUNCE_LOSS_SECONDS: u32 = 3600;

/// Why a node ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// The gateway asked for a restart: the board resets itself.
    Reboot,
    /// Frames shall be sealed, and the store cannot reserve the counters for it. Nothing is sent without.
    NoCounters,
}

/// Runs a node until it ends.
pub async fn run(
    board: &mut impl Board,
    sensors: &mut impl Sensors,
    link: &mut impl Link,
    store: &mut impl Store,
    config: &Config<'_>,
) -> Exit {
    let mut node = Node::start(board, store, *config).await;
    loop {
        if let Some(exit) = node.step(board, sensors, link, store).await {
            return exit;
        }
    }
}

/// What a node has in RAM.
#[derive(Debug)]
pub struct Node<'a> {
    config: Config<'a>,
    settings: Settings,
    sampling: Sampling,
    reporting: Reporting,
    pending: Pending,
    clock: Clock,
    backoff: Backoff,
    counters: Counters,
    life: u16,
    /// The sequence numbers where the store reserves none.
    sequence: u16,
    /// Seconds since the start.
    measure_at: u32,
    announce_at: u32,
    /// Milliseconds since the start: not before, because the link failed or rests.
    send_at: u64,
    is_store_empty: bool,
    /// An item that the store did not take: it is sent from RAM.
    unstored: Option<heapless::Vec<u8, MAX_STORED>>,
    lost: u32,
    /// What was announced last.
    lost_told: u32,
}

/// What is sent next.
enum Next {
    Unstored,
    Stored,
    /// With the number of lost reports.
    Announcement(u32),
}

impl<'a> Node<'a> {
    /// A node that has just started: measures at once.
    pub async fn start(board: &mut impl Board, store: &mut impl Store, config: Config<'a>) -> Self {
        let settings = Settings::load(store).await;
        let mut counters = Counters::default();
        let life = counters.next(store).await.unwrap_or_else(|| board.random()) as u16;
        Self {
            config,
            settings,
            sampling: Sampling::default(),
            reporting: Reporting::default(),
            pending: Pending::default(),
            clock: Clock::default(),
            backoff: Backoff::default(),
            counters,
            life,
            sequence: life,
            measure_at: 0,
            announce_at: 0,
            send_at: 0,
            is_store_empty: false,
            unstored: None,
            lost: 0,
            lost_told: 0,
        }
    }

    /// How many reports were lost since the start: the store was full, damaged or did not work, or the gateway refused them.
    pub fn lost(&self, store: &impl Store) -> u32 {
        self.lost + store.lost()
    }

    /// Does what is due, then sleeps until something is due again.
    pub async fn step(
        &mut self,
        board: &mut impl Board,
        sensors: &mut impl Sensors,
        link: &mut impl Link,
        store: &mut impl Store,
    ) -> Option<Exit> {
        board.feed_watchdog();
        let uptime = self.now(board).uptime;
        if uptime >= self.measure_at {
            self.measure(board, sensors, link.mtu(), store).await;
        }
        if self.pending.oldest().is_some_and(|oldest| uptime >= oldest.saturating_add(self.config.deadline)) {
            self.store_pending(board, link.mtu(), store).await;
        }
        if self.wants_to_send(uptime) && board.uptime_ms() >= self.send_at {
            let exit = self.send(board, link, store).await;
            link.rest().await;
            if exit.is_some() {
                return exit;
            }
        }
        let wake_at = self.wake_at(uptime);
        board.sleep_until(wake_at).await;
        None
    }

    fn now(&self, board: &mut impl Board) -> Now {
        let uptime = seconds(board.uptime_ms());
        Now { life: self.life, uptime, unix_time: self.clock.unix_time(uptime) }
    }

    async fn measure(
        &mut self,
        board: &mut impl Board,
        sensors: &mut impl Sensors,
        mtu: usize,
        store: &mut impl Store,
    ) {
        let mut readings = Readings::new();
        sensors.measure(&mut readings).await;
        let now = self.now(board);
        let (report, change) = self.reporting.judge(&readings, now.uptime, &self.config, &self.settings);
        let interval = self.settings.interval().unwrap_or(self.config.interval);
        let quiet_hours = self.config.quiet_hours;
        let wait = self.sampling.next(interval, change, battery(&readings), now.unix_time, quiet_hours);
        self.measure_at = now.uptime.saturating_add(wait);
        if report == Report::No {
            return;
        }
        if !self.pending.accepts(&readings) {
            self.store_pending(board, mtu, store).await;
        }
        self.pending.push(&readings, now.uptime);
        if report == Report::Urgent {
            self.store_pending(board, mtu, store).await;
        }
    }

    /// Stores all that waits for others.
    async fn store_pending(&mut self, board: &mut impl Board, mtu: usize, store: &mut impl Store) {
        let (now, limit) = (self.now(board), self.limit(mtu));
        let mut buffer = [0; MAX_STORED];
        while self.pending.oldest().is_some() {
            let sequence = self.next_sequence(store).await;
            let Some(length) = self.pending.take(limit, sequence, now, &mut buffer) else { break };
            let item = buffer.get(..length).unwrap_or_default();
            if store.push(item).await.is_err() {
                self.lost += u32::from(self.unstored.is_some());
                self.unstored = heapless::Vec::from_slice(item).ok();
            }
            self.is_store_empty = false;
        }
    }

    /// The longest frame before it is sealed.
    fn limit(&self, mtu: usize) -> usize {
        #[cfg(feature = "sealed")]
        if self.config.sealing.is_some() {
            return mtu.min(MAX_FRAME).saturating_sub(wire::sealed::OVERHEAD);
        }
        mtu.min(MAX_FRAME)
    }

    async fn next_sequence(&mut self, store: &mut impl Store) -> u16 {
        self.sequence = match self.counters.next(store).await {
            Some(number) => number as u16,
            None => self.sequence.wrapping_add(1),
        };
        self.sequence
    }

    const fn wants_to_send(&self, uptime: u32) -> bool {
        !self.is_store_empty || uptime >= self.announce_at
    }

    /// Sends all that is stored, then what is to be announced, until the link fails or rests.
    async fn send(
        &mut self,
        board: &mut impl Board,
        link: &mut impl Link,
        store: &mut impl Store,
    ) -> Option<Exit> {
        loop {
            let now = self.now(board);
            let mut frame = [0; MAX_FRAME];
            let (next, length) = self.next_frame(now, &mut frame, store).await?;
            let Some((frame, length)) = self.seal(frame, length, store).await else {
                return Some(Exit::NoCounters);
            };
            board.feed_watchdog();
            let delivery = link.deliver(frame.get(..length).unwrap_or_default()).await;
            board.feed_watchdog();
            let uptime_ms = board.uptime_ms();
            match delivery {
                Ok(_) => self.backoff.succeeded(),
                Err(LinkError::Refused) if matches!(next, Next::Announcement(_)) => {}
                Err(LinkError::Refused) => self.lost += 1,
                Err(LinkError::Down) => self.send_at = uptime_ms + self.backoff.failed(board.random()),
            }
            if delivery != Err(LinkError::Down) {
                self.sent(next, seconds(uptime_ms), store).await;
            }
            let exit = self.obey(link, seconds(uptime_ms), store).await;
            if exit.is_some() || delivery == Err(LinkError::Down) {
                return exit;
            }
            self.clock.refresh(seconds(uptime_ms), link).await;
            if link.pause_seconds() > 0 {
                self.send_at = uptime_ms + u64::from(link.pause_seconds()) * 1000;
                return None;
            }
        }
    }

    /// The next frame; `None` if there is nothing to send.
    async fn next_frame(
        &mut self,
        now: Now,
        frame: &mut [u8; MAX_FRAME],
        store: &mut impl Store,
    ) -> Option<(Next, usize)> {
        if let Some(length) = self.unstored.as_ref().and_then(|item| stored::frame(item, now, frame)) {
            return Some((Next::Unstored, length));
        }
        let mut buffer = [0; MAX_STORED];
        while let Ok(Some(length)) = store.peek(&mut buffer).await {
            if let Some(length) = stored::frame(buffer.get(..length).unwrap_or_default(), now, frame) {
                return Some((Next::Stored, length));
            }
            self.lost += 1;
            if store.pop().await.is_err() {
                break;
            }
        }
        self.is_store_empty = true;
        let lost = self.lost(store);
        if lost != self.lost_told {
            self.announce_at = self.announce_at.min(now.uptime.saturating_add(ANNOUNCE_LOSS_SECONDS));
        }
        if now.uptime < self.announce_at {
            return None;
        }
        let mut encoder = wire::Encoder::new(frame).ok()?;
        encoder.lost(lost).ok()?;
        if encoder.firmware(self.config.firmware).is_err() {
            self.announce_at = u32::MAX;
            return None;
        }
        Some((Next::Announcement(lost), encoder.finish().len()))
    }

    async fn seal(
        &mut self,
        frame: [u8; MAX_FRAME],
        length: usize,
        store: &mut impl Store,
    ) -> Option<([u8; MAX_FRAME], usize)> {
        #[cfg(feature = "sealed")]
        if let Some(sealing) = self.config.sealing {
            let header =
                wire::sealed::Header { node: sealing.node, counter: self.counters.next(store).await? };
            let mut sealed = [0; MAX_FRAME];
            let frame = frame.get(..length).unwrap_or_default();
            let length = wire::sealed::seal(&sealing.key, header, frame, &mut sealed).ok()?;
            return Some((sealed, length));
        }
        let _ = store;
        Some((frame, length))
    }

    async fn sent(&mut self, next: Next, uptime: u32, store: &mut impl Store) {
        match next {
            Next::Unstored => self.unstored = None,
            // If it cannot be removed, it is sent again, and the gateway knows its number.
            Next::Stored => _ = store.pop().await,
            Next::Announcement(lost) => {
                self.lost_told = lost;
                self.announce_at = uptime.saturating_add(ANNOUNCE_SECONDS);
            }
        }
    }

    /// Carries out the commands that came.
    async fn obey(&mut self, link: &mut impl Link, uptime: u32, store: &mut impl Store) -> Option<Exit> {
        let (mut exit, mut is_changed) = (None, false);
        while let Some(frame) = link.take_command() {
            for command in wire::command::decode(&frame) {
                is_changed |= self.settings.apply(command);
                if command == wire::command::Command::Reboot {
                    exit = Some(Exit::Reboot);
                }
            }
        }
        if is_changed {
            self.settings.save(store).await;
            let interval = self.settings.interval().unwrap_or(self.config.interval);
            let interval = interval.clamp(Config::SHORTEST, Config::LONGEST);
            self.measure_at = self.measure_at.min(uptime.saturating_add(interval));
        }
        exit
    }

    /// Milliseconds since the start.
    fn wake_at(&self, uptime: u32) -> u64 {
        let ms = |seconds: u32| u64::from(seconds) * 1000;
        let mut wake_at = ms(self.measure_at);
        if let Some(oldest) = self.pending.oldest() {
            wake_at = wake_at.min(ms(oldest.saturating_add(self.config.deadline)));
        }
        let send_at =
            if self.wants_to_send(uptime) { self.send_at } else { ms(self.announce_at).max(self.send_at) };
        wake_at.min(send_at)
    }
}

const fn seconds(ms: u64) -> u32 {
    // A node does not run for 136 years.
    (ms / 1000) as u32
}
