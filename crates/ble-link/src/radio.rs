//! The task that listens through one adapter for as long as the gateway runs: it opens sessions, keeps them scanning, and
//! climbs the [`Ladder`] when nothing is heard.
//!
//! Promises: it never gives up and never waits for whoever reads: what finds no room is counted and dropped.

use std::time::Duration;

use gateway_core::Backoff;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::heard::Heard;
use crate::ladder::{Ladder, Step};
use crate::link::{ADAPTER, Link, LinkError, flag};
use crate::monitor::{Pattern, Told};
use crate::scan::Scanner;
use crate::session::{Event, Session};
use crate::speaker::Speaker;

/// Pauses between two attempts.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// A scan that pauses for less than this (while a device is being connected) needs no help.
const SETTLE: Duration = Duration::from_secs(2);
/// How long an adapter stays off when it is power-cycled.
const OFF_FOR: Duration = Duration::from_secs(1);

/// How to listen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scan {
    /// Not at all: the adapter is for connections only.
    Off,
    /// Asking devices for their scan responses, which some need for their names and values.
    Active,
    /// Without sending anything, where bluetoothd offers that; else as [`Self::Active`].
    Passive,
}

/// What a radio is to do.
#[derive(Debug, Clone)]
pub struct Options {
    /// `hci0`, or the adapter's address.
    pub adapter: String,
    /// How to listen.
    pub scan: Scan,
    /// What a passive scan watches for.
    pub patterns: Vec<Pattern>,
    /// After how long without any sound something is done about it.
    pub quiet: Duration,
    /// In place of an adapter: what a simulated building says.
    pub speaker: Option<Speaker>,
}

/// How a radio is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum State {
    /// No session with bluetoothd yet, or no more.
    #[default]
    Connecting,
    /// The adapter is switched off, or will not scan.
    Off,
    /// It scans.
    Active,
    /// It scans and sends nothing.
    Passive,
    /// It does not scan, as it was told.
    Idle,
    /// It scans and hears nothing; a step of the ladder was the last thing done about it.
    Quiet(Step),
}

impl State {
    /// Its name in `health`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Connecting => "connecting",
            Self::Off => "off",
            Self::Active => "scanning",
            Self::Passive => "scanning passively",
            Self::Idle => "idle",
            Self::Quiet(step) => step.name(),
        }
    }
}

/// How a radio is doing, and how it has fared since the start.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Status {
    /// Now.
    pub state: State,
    /// Why it does not work, for people.
    pub problem: Option<String>,
    /// How often the scan was started again.
    pub scan_restarts: u64,
    /// How often the adapter was switched off and on.
    pub power_cycles: u64,
    /// How often a session was begun, after the first.
    pub sessions_rebuilt: u64,
    /// Advertisements that found no room.
    pub lost: u64,
}

/// What is told of a radio, while its task runs.
#[derive(Debug)]
pub struct Radio {
    /// What it hears.
    pub heard: mpsc::Receiver<Heard>,
    /// How it is doing.
    pub status: watch::Receiver<Status>,
    /// For connections; none while there is no session.
    pub link: watch::Receiver<Option<Link>>,
}

impl Radio {
    /// Starts to listen, until `stop`. At most `room` advertisements wait.
    #[must_use]
    pub fn start(options: Options, room: usize, stop: CancellationToken) -> Self {
        let (heard_to, heard) = mpsc::channel(room);
        let (status_to, status) = watch::channel(Status::default());
        let (link_to, link) = watch::channel(None);
        if let Some(speaker) = options.speaker {
            status_to.send_replace(Status { state: State::Active, ..Status::default() });
            tokio::spawn(async move {
                // Nobody is told any more once they are dropped.
                let _told = (status_to, link_to);
                stop.run_until_cancelled(speaker.relay(heard_to)).await;
            });
            return Self { heard, status, link };
        }
        let backoff = Backoff::new(FIRST_PAUSE, LONGEST_PAUSE);
        let ladder = Ladder::new(options.quiet, Instant::now());
        let keeper = Keeper {
            options,
            heard: heard_to,
            status: status_to,
            link: link_to,
            backoff,
            ladder,
            scans: State::Active,
        };
        tokio::spawn(async move {
            stop.run_until_cancelled(keeper.run()).await;
        });
        Self { heard, status, link }
    }
}

struct Keeper {
    options: Options,
    heard: mpsc::Sender<Heard>,
    status: watch::Sender<Status>,
    link: watch::Sender<Option<Link>>,
    backoff: Backoff,
    ladder: Ladder,
    /// How it scans when it does.
    scans: State,
}

impl Keeper {
    async fn run(mut self) {
        loop {
            let ended = self.session().await;
            self.link.send_replace(None);
            let pause = match ended {
                // A step of the ladder.
                Ok(()) => Duration::ZERO,
                Err(error) => {
                    self.tell(State::Connecting, Some(gateway_core::chain(&error)));
                    self.backoff.next_wait(0.0)
                }
            };
            sleep(pause).await;
            self.count(|status| &mut status.sessions_rebuilt);
        }
    }

    /// One session; `Ok` where the ladder wants another.
    async fn session(&mut self) -> Result<(), LinkError> {
        let link = Link::open(&self.options.adapter).await?;
        let (mut session, heard) = Session::begin(link.clone()).await?;
        let mut scanner = Scanner::new(link.clone(), self.options.scan, self.options.patterns.clone());
        self.link.send_replace(Some(link));
        self.ladder.begun(Instant::now());
        heard.into_iter().for_each(|heard| self.deliver(heard));
        let mut check_at = Some(Instant::now());
        loop {
            if check_at.is_some_and(|at| at <= Instant::now()) {
                check_at = self.check(&mut scanner).await?.map(|pause| Instant::now() + pause);
            }
            if self.options.scan != Scan::Off
                && let Some(step) = self.ladder.step(Instant::now())
            {
                if step == Step::Rebuild {
                    self.tell(State::Quiet(step), None);
                    scanner.stop().await;
                    session.end().await;
                    return Ok(());
                }
                check_at = self.climb(step, &mut scanner).await?.map(|pause| Instant::now() + pause);
            }
            let ladder_due = (self.options.scan != Scan::Off).then(|| self.ladder.due());
            let due = [check_at, ladder_due, session.next_repeat()].into_iter().flatten().min();
            tokio::select! {
                event = session.next() => {
                    let settled = Instant::now() + SETTLE;
                    match event? {
                        Event::Heard(heard) => {
                            self.sound();
                            self.deliver(heard);
                        }
                        Event::Near => self.sound(),
                        Event::Spoken => self.ladder.spoken(Instant::now()),
                        Event::Powered(true) => check_at = Some(Instant::now()),
                        Event::Discovering(true) => {}
                        Event::Powered(false) | Event::Discovering(false) => {
                            check_at = Some(check_at.map_or(settled, |at| at.min(settled)));
                        }
                    }
                }
                told = scanner.told() => match told {
                    Told::Found(device) => {
                        self.sound();
                        session.found(device, Instant::now());
                    }
                    Told::Released => {
                        scanner.is_released();
                        check_at = Some(Instant::now());
                    }
                },
                () = until(due) => {}
            }
            session.repeats(Instant::now()).into_iter().for_each(|heard| self.deliver(heard));
        }
    }

    /// Looks whether the adapter is on and scans, and has it do so. Says when to look again, where it does not.
    async fn check(&mut self, scanner: &mut Scanner) -> Result<Option<Duration>, LinkError> {
        match self.make_it_scan(scanner).await {
            Ok(state) => {
                self.backoff.reset();
                self.scans = state;
                self.tell(state, None);
                Ok(None)
            }
            Err(error) => self.later(error),
        }
    }

    async fn make_it_scan(&mut self, scanner: &mut Scanner) -> Result<State, LinkError> {
        let link = scanner.link().clone();
        let adapter = link.properties(&link.adapter, ADAPTER).await?;
        if !flag(&adapter, "Powered").unwrap_or_default() {
            scanner.forget();
            switch_on(&link).await?;
        }
        let discovers = flag(&adapter, "Discovering").unwrap_or_default();
        if scanner.is_discovering() && !discovers {
            self.count(|status| &mut status.scan_restarts);
            scanner.stop().await;
        }
        scanner.start().await
    }

    async fn climb(&mut self, step: Step, scanner: &mut Scanner) -> Result<Option<Duration>, LinkError> {
        self.tell(State::Quiet(step), None);
        scanner.stop().await;
        if step == Step::PowerCycle {
            self.count(|status| &mut status.power_cycles);
            // Where it cannot be switched it may already be off.
            let _ = scanner.link().set_powered(false).await;
            sleep(OFF_FOR).await;
            if let Err(error) = switch_on(scanner.link()).await {
                return self.later(error);
            }
        } else {
            self.count(|status| &mut status.scan_restarts);
        }
        match scanner.start().await {
            Ok(_) => Ok(None),
            Err(error) => self.later(error),
        }
    }

    /// What a retry may mend is told and tried again; anything else ends the session.
    fn later(&mut self, error: LinkError) -> Result<Option<Duration>, LinkError> {
        match error {
            LinkError::Off { .. } | LinkError::Refused { .. } | LinkError::Silent { .. } => {
                self.tell(State::Off, Some(gateway_core::chain(&error)));
                Ok(Some(self.backoff.next_wait(0.0)))
            }
            error => Err(error),
        }
    }

    /// Something is in the air.
    fn sound(&mut self) {
        self.ladder.heard(Instant::now());
        let was_quiet = matches!(self.status.borrow().state, State::Quiet(_));
        if was_quiet {
            self.tell(self.scans, None);
        }
    }

    fn deliver(&self, heard: Heard) {
        if self.heard.try_send(heard).is_err() {
            self.count(|status| &mut status.lost);
        }
    }

    fn tell(&self, state: State, problem: Option<String>) {
        self.status.send_if_modified(|status| {
            let is_news = status.state != state || status.problem != problem;
            (status.state, status.problem) = (state, problem);
            is_news
        });
    }

    /// Counts one more. Wakes nobody.
    fn count(&self, counter: impl Fn(&mut Status) -> &mut u64) {
        self.status.send_if_modified(|status| {
            let count = counter(status);
            *count = count.saturating_add(1);
            false
        });
    }
}

async fn switch_on(link: &Link) -> Result<(), LinkError> {
    link.set_powered(true).await.map_err(|error| match error {
        LinkError::Refused { .. } => LinkError::Off { adapter: link.adapter_name().to_owned() },
        error => error,
    })
}

async fn until(due: Option<Instant>) {
    match due {
        Some(due) => sleep_until(due).await,
        None => std::future::pending().await,
    }
}
