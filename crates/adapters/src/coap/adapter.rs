//! The adapter: one task that moves datagrams, requests and answers between sockets, sessions, engine and pipeline.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use coap_link::{Engine, Output, Peer, dtls};
use gateway_core::ports::{Adapter, AdapterContext, AdapterError, Clock};
use gateway_core::{AdapterId, Condition, Throttle, Uplink};
use read_model::ReadModel;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::access::{self, Access, Holder};
use super::client::{self, ClientSettings};
use super::figures::{self, Counts};
use super::formats::Codecs;
use super::intake::{Completion, Intake, MAX_IN_FLIGHT};
use super::names::Names;
use super::observed::Observed;
use super::server::{IncomingRequest, Server};
use super::socket::{CoapListener, CoapSocket};
use crate::LOG_PERIOD;
use crate::datagrams::{self, Inbox};

/// How often the figures in `health` are updated.
const FIGURES_INTERVAL: Duration = Duration::from_secs(5);
/// How long the stop waits for reports in flight; the senders keep the others.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(4);
/// The longest time until an answer, if the disk is slow; soon after, the sender forgets the message (RFC 7252, 4.8.2).
const ANSWER_TIMEOUT: Duration = Duration::from_secs(240);
/// Completions received at once.
const COMPLETION_BATCH: usize = 256;

/// The settings of `[adapters.coap.<name>]`.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The address for CoAP without encryption.
    pub listen: Option<SocketAddr>,
    /// The address for DTLS.
    pub listen_dtls: Option<SocketAddr>,
    /// The DTLS identities.
    pub holders: Vec<Holder>,
    /// Whether requests to "All CoAP Nodes" are answered.
    pub multicast: bool,
    /// The largest payload in bytes.
    pub max_size: usize,
    /// The most peers remembered, and the most DTLS sessions.
    pub max_peers: usize,
    /// The most observers.
    pub max_observers: usize,
    /// The codecs of the content formats.
    pub codecs: Codecs,
    /// The names of the devices.
    pub names: Arc<Names>,
    /// The settings of the client side.
    pub client: ClientSettings,
}

impl Settings {
    fn engine(&self) -> coap_link::Settings {
        let defaults = coap_link::Settings::default();
        coap_link::Settings {
            seed: rand::random(),
            peers: self.max_peers,
            verified: self.max_peers,
            observers: self.max_observers,
            // Reports beyond those in flight are refused, and counted, here.
            open_requests: MAX_IN_FLIGHT.saturating_mul(2),
            answer_within: ANSWER_TIMEOUT,
            request_body: self.max_size,
            assembly_bytes: defaults.assembly_bytes.max(self.max_size.saturating_mul(4)),
            ..defaults
        }
    }

    fn limits(&self) -> dtls::Limits {
        dtls::Limits { sessions: self.max_peers, ..dtls::Limits::default() }
    }
}

/// The devices of `[adapters.coap.<name>]`.
pub struct CoapAdapter {
    id: AdapterId,
    settings: Settings,
    read_model: ReadModel,
}

impl CoapAdapter {
    /// Makes an adapter that answers with the values of `read_model`.
    #[must_use]
    pub const fn new(id: AdapterId, settings: Settings, read_model: ReadModel) -> Self {
        Self { id, settings, read_model }
    }

    fn failed(&self, reason: &dyn std::fmt::Display) -> AdapterError {
        AdapterError { adapter: self.id.clone(), reason: reason.to_string() }
    }
}

#[async_trait]
impl Adapter for CoapAdapter {
    fn id(&self) -> &AdapterId {
        &self.id
    }

    async fn run(&mut self, context: &mut AdapterContext) -> Result<(), AdapterError> {
        let now = Instant::now();
        let settings = &self.settings;
        let (intake, completions) = Intake::new(&self.id, now.into_std());
        let server = Server {
            settings,
            read_model: &self.read_model,
            engine: Engine::new(settings.engine()),
            access: Access::new(&settings.holders),
            intake,
            observed: Observed::default(),
            counts: Counts::default(),
            stopping: false,
            cut_lists: Throttle::new(LOG_PERIOD),
        };
        let secured = match settings.listen_dtls {
            Some(address) => {
                let keys = access::keys(&settings.holders).map_err(|error| self.failed(&error))?;
                let server = dtls::Server::new(keys, settings.limits(), now.into_std())
                    .map_err(|error| self.failed(&error))?;
                Some((server, CoapListener::open(&self.id, address, CoapSocket::bind)))
            }
            None => None,
        };
        let (dtls, secure_listener) = secured.unzip();
        let bind = if settings.multicast { CoapSocket::bind_with_groups } else { CoapSocket::bind };
        let mut driver = ServerDriver {
            id: &self.id,
            server,
            clear_listener: settings.listen.map(|address| CoapListener::open(&self.id, address, bind)),
            secure_listener,
            dtls,
            refusals: Throttle::new(LOG_PERIOD),
            clock: Arc::clone(&context.clock),
        };
        let AdapterContext { uplinks, commands, condition, clock, stop } = context;
        let (uplinks, condition) = (&*uplinks, &*condition);
        // A child token: if the client fails, the server ends too, and both are restarted.
        let stop = stop.child_token();
        let io = client::Io { id: &self.id, uplinks, commands, condition, clock: &**clock, stop: &stop };
        let client = async {
            let result = client::run(&settings.client, settings.codecs, settings.max_size, io).await;
            if result.is_err() {
                stop.cancel();
            }
            result
        };
        let (result, ()) = tokio::join!(client, driver.run_loop(uplinks, condition, &stop, completions));
        result
    }
}

/// Owns sockets, sessions and engine of the server, and runs their loop.
struct ServerDriver<'a> {
    id: &'a AdapterId,
    server: Server<'a>,
    clear_listener: Option<CoapListener>,
    secure_listener: Option<CoapListener>,
    dtls: Option<dtls::Server>,
    refusals: Throttle,
    clock: Arc<dyn Clock>,
}

impl ServerDriver<'_> {
    async fn run_loop(
        &mut self,
        uplinks: &mpsc::Sender<Vec<Uplink>>,
        condition: &Condition,
        stop: &CancellationToken,
        mut completions: mpsc::Receiver<Completion>,
    ) {
        let follower = self.server.read_model.follow();
        let (mut clear, mut secure) = (Inbox::default(), Inbox::default());
        let mut completed = Vec::with_capacity(COMPLETION_BATCH);
        let mut figures_due = Instant::now();
        let mut drain_deadline = None;
        loop {
            self.drain().await;
            self.report_condition(condition);
            if figures_due <= Instant::now() {
                figures_due = Instant::now() + FIGURES_INTERVAL;
                condition.show(self.figures());
            }
            if drain_deadline.is_some_and(|at| self.server.intake.is_idle() || at <= Instant::now()) {
                break;
            }
            let wake = self
                .deadline()
                .into_iter()
                .chain([figures_due])
                .chain(drain_deadline)
                .min()
                .unwrap_or(figures_due);
            let waiting = self.server.intake.has_waiting();
            tokio::select! {
                () = stop.cancelled(), if drain_deadline.is_none() => {
                    self.server.stopping = true;
                    drain_deadline = Some(Instant::now() + DRAIN_TIMEOUT);
                }
                () = datagrams::serve(&mut self.clear_listener, &mut clear) => {}
                () = datagrams::serve(&mut self.secure_listener, &mut secure) => {}
                permit = uplinks.reserve(), if waiting => match permit {
                    Ok(permit) => permit.send(self.server.intake.batch()),
                    // The pipeline has ended: the senders keep the queued reports.
                    Err(_) => drop(self.server.intake.batch()),
                },
                _ = completions.recv_many(&mut completed, COMPLETION_BATCH) => {}
                devices = follower.changed() => {
                    let (server, now) = (&mut self.server, Instant::now().into_std());
                    for device in devices {
                        server.observed.notify(&device, server.read_model, &mut server.engine, now);
                    }
                }
                () = sleep_until(wake) => {}
            }
            let now = Instant::now().into_std();
            self.receive(&mut clear, &mut secure);
            completed.drain(..).for_each(|completion| self.server.complete(completion, now));
            self.handle_timeouts();
        }
        self.close().await;
    }

    /// The next timeout of engine or sessions.
    fn deadline(&self) -> Option<Instant> {
        let dtls = self.dtls.as_ref().and_then(dtls::Server::next_deadline);
        [self.server.engine.next_deadline(), dtls].into_iter().flatten().min().map(Instant::from_std)
    }

    fn handle_timeouts(&mut self) {
        let now = Instant::now().into_std();
        if self.server.engine.next_deadline().is_some_and(|due| due <= now) {
            self.server.engine.timeout(now);
        }
        if let Some(dtls) =
            self.dtls.as_mut().filter(|dtls| dtls.next_deadline().is_some_and(|due| due <= now))
        {
            dtls.timeout(now);
        }
    }

    fn receive(&mut self, clear: &mut Inbox, secure: &mut Inbox) {
        let now = Instant::now().into_std();
        let engine = &mut self.server.engine;
        clear.drain(|from, datagram, multicast| {
            let peer = Peer::unsecured(from);
            if multicast {
                engine.receive_multicast(&peer, datagram, now);
            } else {
                engine.receive(&peer, datagram, now);
            }
        });
        if let Some(dtls) = &mut self.dtls {
            secure.drain(|from, datagram, _| dtls.receive(from, datagram, now));
        }
        self.server.count_lost();
    }

    /// Handles all outputs of engine and sessions.
    async fn drain(&mut self) {
        loop {
            while let Some(output) = self.dtls.as_mut().and_then(dtls::Server::poll) {
                self.handle_dtls(output).await;
            }
            match self.server.engine.poll() {
                Some(output) => self.handle_output(output).await,
                None => return,
            }
        }
    }

    async fn handle_dtls(&mut self, output: dtls::Output) {
        let now = Instant::now().into_std();
        match output {
            dtls::Output::Send { address, bytes } => {
                if let Some(listener) = &mut self.secure_listener {
                    listener.send(address, &bytes).await;
                }
            }
            dtls::Output::Plain { peer, bytes } => self.server.engine.receive(&peer, &bytes, now),
            dtls::Output::Opened { peer } => debug!(adapter = %self.id, "coap: {peer} has opened a session"),
            dtls::Output::Closed { peer, reason } => {
                debug!(adapter = %self.id, "coap: the session of {peer} has ended: {reason}");
                self.server.engine.closed(&peer, now);
            }
            dtls::Output::Refused { address, identity, reason } => {
                if let Some(passed_over) = self.refusals.allow(now) {
                    let identity =
                        identity.map_or_else(|| "nobody yet".to_owned(), |identity| identity.to_string());
                    warn!(adapter = %self.id, %identity, passed_over, "coap: handshake of {address} refused: {reason}");
                }
            }
        }
    }

    async fn handle_output(&mut self, output: Output) {
        let now = Instant::now().into_std();
        match output {
            Output::Send { peer, bytes } if peer.is_secured() => {
                // A session that has ended is reported as closed.
                let _ = self.dtls.as_mut().map(|dtls| dtls.send(&peer, &bytes));
            }
            Output::Send { peer, bytes } => {
                if let Some(listener) = &mut self.clear_listener {
                    listener.send(peer.address, &bytes).await;
                }
            }
            Output::Request { id, peer, request, fingerprint, multicast } => {
                let at = self.clock.now();
                self.server.answer(&IncomingRequest { id, peer, request, fingerprint, multicast, at }, now);
            }
            Output::ObserverGone { resource, .. } => {
                self.server.observed.remove_unobserved(&resource, &self.server.engine);
            }
            // The server sends no requests.
            Output::Response { .. } | Output::Notification { .. } => {}
        }
    }

    /// Up while every listener is open.
    fn report_condition(&self, condition: &Condition) {
        let problems = [&self.clear_listener, &self.secure_listener]
            .into_iter()
            .flatten()
            .filter_map(CoapListener::problem);
        let present = problems.collect::<Vec<_>>().join("; ");
        condition.with_problems(&present);
    }

    fn figures(&self) -> std::collections::BTreeMap<String, u64> {
        let mut figures = figures::figures(
            &self.server.counts,
            &self.server.engine,
            self.dtls.as_ref(),
            [&self.clear_listener, &self.secure_listener],
        );
        let observed = u64::try_from(self.server.observed.len()).unwrap_or(u64::MAX);
        figures.insert("observed".to_owned(), observed);
        figures
    }

    /// Closes all sessions.
    async fn close(&mut self) {
        if let Some(dtls) = &mut self.dtls {
            dtls.close_all();
        }
        self.drain().await;
    }
}
