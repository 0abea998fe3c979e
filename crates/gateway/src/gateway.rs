//! The whole gateway: what is started in which order, what a reload changes, and how it ends with nothing lost.

mod opening;

use std::sync::Arc;

use broker::Broker;
use codecs::CodecTable;
use gateway_config::{Config, Loaded};
use gateway_core::Services;
use gateway_core::ports::Clock;
use gateway_core::settings::BuildError;
use outbox::{Lane, Outbox};
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

use crate::build::{self, Embedded};
use crate::commands::{self, CloudCommands};
use crate::supervisor::Supervisor;
use crate::upstream::Upstream;
use crate::watchdog::Stages;
#[cfg(feature = "http")]
use crate::web::Web;
use pipeline::clock::SystemClock;
use pipeline::decode::Decoder;
use pipeline::deliver::actions::{Actions, Commanders};
use pipeline::deliver::records::Identity;
use pipeline::durable::reconcile::FoundAtStart;
use pipeline::observe::audit::Auditor;
use pipeline::observe::health_source::{HealthSource, UpstreamState};
use pipeline::observe::live_socket;
use pipeline::observe::reporter::Reporter;
use pipeline::problems::{self, Problems};
use pipeline::training::{local_history, retrain};
use pipeline::{Control, Durable, DurableStart, Pipeline, Undelivered};
#[cfg(feature = "demo")]
use read_model::Balance;
use read_model::ReadModel;
use sinks::runner::RunningSink;

pub(crate) use opening::StartError;

/// Batches of uplinks that may wait for the pipeline; beyond, adapters hold back their links.
const WAITING_BATCHES: usize = 8;

/// How long a stop waits for the pipeline: longer than everything that it waits for itself.
const PIPELINE_STOP_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(20);

/// How long a stop waits for the outbox to be closed.
const OUTBOX_CLOSE_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(5);

fn upstream_state(upstream: &Upstream) -> UpstreamState {
    let handle = upstream.handle();
    Arc::new(move || handle.health())
}

/// A running gateway.
pub(crate) struct Gateway {
    config: Config,
    /// The same for the commands from the cloud.
    config_in_force: watch::Sender<Arc<Config>>,
    codecs: CodecTable,
    supervisor: Supervisor,
    control: mpsc::Sender<Control>,
    pipeline: tokio::task::JoinHandle<()>,
    upstream: Option<Upstream>,
    sinks: Vec<RunningSink>,
    outbox: Option<outbox::Handle>,
    history: Option<history::Handle>,
    retraining: Option<retrain::Handle>,
    broker: Option<Broker>,
    embedded: Option<Embedded>,
    services: Services,
    read_model: ReadModel,
    auditor: Auditor,
    problems: Problems,
    health: HealthSource,
    #[cfg(feature = "http")]
    web: Web,
    /// Ends what only watches: health, the socket.
    watchers: CancellationToken,
    stop: CancellationToken,
}

impl Gateway {
    /// Starts everything a checked configuration names. Links that are down are no error: they are tried again.
    pub(crate) async fn start(loaded: &Loaded) -> Result<Self, StartError> {
        Self::start_with(loaded, Services::default()).await
    }

    /// [`Self::start`] with more than the gateway itself lends to adapters, such as a simulated radio.
    pub(crate) async fn start_with(loaded: &Loaded, services: Services) -> Result<Self, StartError> {
        let config = &loaded.config;
        let data_dir = &config.gateway.data_dir;
        opening::create_data_dir(data_dir)?;
        let stop = CancellationToken::new();
        let mut codecs = CodecTable::default();
        let outbox = opening::open_outbox(config).await?;
        let (outbox, outbox_damaged) =
            outbox.map_or((None, false), |(outbox, damaged)| (Some(outbox), damaged));
        let mark = outbox.as_ref().map_or(0, Outbox::mark);
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let history = build::history_options(config)
            .and_then(|options| local_history::start(options, Arc::clone(&clock)));
        let identity = Identity { id: config.gateway.id(), prefix: config.gateway.prefix.clone() };
        let mut remembered = history::Batch::default();
        let (mode, recovered) =
            opening::open_store(config, build::settings(config), mark, |outputs, registry| {
                if let Some(history) = &history {
                    let remembered = &mut remembered;
                    pipeline::deliver::history::remember_again(
                        history, remembered, outputs, registry, &identity,
                    );
                }
            })?;
        // A new outbox beside an older state has lost what the state remembers.
        let outbox_is_new = outbox.as_ref().is_some_and(|outbox| outbox.next_seq(Lane::Alerts) == 1);
        let found = FoundAtStart {
            damaged: recovered.is_new || recovered.damaged || outbox_damaged || outbox_is_new,
            ledger_sink: outbox.as_ref().and_then(|outbox| outbox.sink_id(&build::ledger_sink(config))),
        };
        let (broker, embedded) = opening::start_broker(config, &mut codecs).await?;
        let read_model = ReadModel::default();
        services.insert(read_model.clone());
        if let Some(embedded) = &embedded {
            embedded.lend(&services);
        }
        let adapters = build::adapters(config, &mut codecs, &services)?;
        let new = build::reconfiguration(config, &mut codecs, &services)?;
        // The thread ends once the outbox is closed; where its disk holds it, maybe never: it is not waited for.
        let outbox = outbox.map(outbox::spawn).transpose()?.map(|(handle, _thread)| handle);

        let commanders = Commanders::default();
        let begin = DurableStart {
            mode,
            position: recovered.position,
            checkpoint: recovered.checkpoint,
            since_checkpoint: recovered.replayed_bytes,
            outbox: outbox.clone().map(|handle| (handle, mark)),
            ledger_sink: build::ledger_sink(config),
            history: history.clone(),
            takes_readings: build::takes_readings(config),
        };
        let (problem_sender, pipeline_problems) = watch::channel(Vec::new());
        let keeps_messages = build::takes_readings(config) || build::history_takes_readings(config);
        let pipeline = Pipeline {
            engine: recovered.engine,
            decoder: Decoder::new(new.codecs, new.directory)
                .keeping_messages(keeps_messages)
                .showing(read_model.clone()),
            actions: Actions::new(new.actions, Arc::clone(&commanders)).showing(read_model.clone()),
            durable: Durable::new(data_dir, begin),
            read_model: read_model.clone(),
            identity: identity.clone(),
            clock: Arc::clone(&clock),
            problems: problem_sender,
            stop: stop.clone(),
            pings: Vec::new(),
            ledger_due: tokio::time::Instant::now(),
        };
        let (uplinks, uplink_receiver) = mpsc::channel(WAITING_BATCHES);
        let (control, control_receiver) = mpsc::channel(8);
        let for_commands = Arc::clone(&commanders);
        let (command_sender, command_receiver) = mpsc::channel(commands::MOST_WAITING);
        let mut supervisor = Supervisor::new(uplinks, commanders, Arc::clone(&clock), read_model.clone());
        if let Some(embedded) = &embedded {
            supervisor.also_show("broker", embedded.health.clone());
        }
        supervisor.reconcile(adapters).await;
        let undelivered = Undelivered {
            outputs: recovered.outputs,
            remembered,
            models: new.models,
            settings: new.settings,
            found,
            replayed: recovered.replayed > 0,
        };
        let pipeline = tokio::spawn(pipeline.run(undelivered, uplink_receiver, control_receiver));

        let problems = problems::gather(pipeline_problems, outbox.as_ref().map(outbox::Handle::status));
        let retraining = history
            .as_ref()
            .map(|_| retrain::start(data_dir, build::training_plan(config), &control, clock, stop.clone()));
        let upstream = match (&config.upstream, &outbox) {
            (Some(upstream), Some(handle)) => {
                Some(Upstream::start(config, upstream, &identity, handle, command_sender)?)
            }
            _ => None,
        };
        let (config_in_force, config_receiver) = watch::channel(Arc::new(config.clone()));
        if let Some(upstream) = &upstream {
            let commands = CloudCommands {
                received: command_receiver,
                config: config_receiver,
                services: services.clone(),
                commanders: for_commands,
                read_model: read_model.clone(),
                upstream: upstream.handle(),
                responses: format!("{}/gateways/{}/responses/", identity.prefix, identity.id),
            };
            tokio::spawn(commands.run(stop.clone()));
        }
        let sinks = build::start_sinks(config, outbox.as_ref())?;
        let auditor = Auditor::new(
            control.clone(),
            outbox.clone(),
            build::ledger_sink(config),
            read_model.clone(),
            build::sink_errors(upstream.as_ref(), &sinks),
        );
        let health = HealthSource {
            gateway: identity.id.clone(),
            read_model: read_model.clone(),
            auditor: auditor.clone(),
            outbox: outbox.clone(),
            ledger_sink: build::ledger_sink(config),
            upstream: upstream.as_ref().map(upstream_state),
            problems: problems.clone(),
        };
        #[cfg(feature = "http")]
        let web = Web::start(config, &loaded.into(), health.clone(), control.clone(), history.as_ref())?;
        #[cfg(feature = "http")]
        if let Some(state) = web.health() {
            supervisor.also_show("http", state);
        }
        let gateway = Self {
            config: config.clone(),
            config_in_force,
            codecs,
            supervisor,
            control,
            pipeline,
            upstream,
            sinks,
            outbox,
            history,
            retraining,
            broker,
            embedded,
            services,
            read_model,
            auditor,
            problems,
            health,
            #[cfg(feature = "http")]
            web,
            watchers: CancellationToken::new(),
            stop,
        };
        gateway.start_observers();
        Ok(gateway)
    }

    /// Starts what only observes: the socket, the status, the health messages.
    fn start_observers(&self) {
        match live_socket::bind(&self.config.gateway.data_dir) {
            Ok(listener) => {
                let stop = self.watchers.clone();
                let sources = live_socket::Sources {
                    read_model: self.read_model.clone(),
                    auditor: self.auditor.clone(),
                    control: self.control.clone(),
                };
                tokio::spawn(live_socket::serve(listener, sources, stop));
            }
            Err(error) => tracing::warn!(
                "riser tail will not work: cannot make {}: {error}",
                live_socket::path(&self.config.gateway.data_dir).display()
            ),
        }
        if let Some(upstream) = &self.upstream {
            let reporter = Reporter {
                health: self.health.clone(),
                read_model: self.read_model.clone(),
                upstream: upstream.handle(),
                problems: self.problems.clone(),
                health_every: self.config.gateway.health_every.0,
            };
            let stop = self.watchers.clone();
            tokio::spawn(async move {
                tokio::select! {
                    () = reporter.run() => {}
                    () = stop.cancelled() => {}
                }
            });
        }
    }

    /// Waits for the pipeline to end by itself, which only a bug can make it do: the process must not live on without.
    pub(crate) async fn died(&mut self) -> String {
        match (&mut self.pipeline).await {
            Ok(()) => "the pipeline ended".to_owned(),
            Err(error) => format!("the pipeline ended: {error}"),
        }
    }

    /// Puts a new, checked configuration in force; returns the keys that need a restart to change.
    pub(crate) async fn reload(&mut self, loaded: &Loaded) -> Result<Vec<String>, BuildError> {
        let new = &loaded.config;
        let restart = gateway_config::restart_needed(&self.config, new);
        let mut effective = new.clone();
        // What needs a restart stays as it is, so that it cannot be half changed.
        effective.gateway.id = Some(self.config.gateway.id());
        effective.gateway.prefix.clone_from(&self.config.gateway.prefix);
        effective.gateway.data_dir.clone_from(&self.config.gateway.data_dir);
        effective.upstream.clone_from(&self.config.upstream);
        effective.sinks.clone_from(&self.config.sinks);
        effective.broker.clone_from(&self.config.broker);
        effective.journal = self.config.journal.clone();
        effective.history.clone_from(&self.config.history);

        let blueprints = build::adapters(&effective, &mut self.codecs, &self.services)?;
        let wanted = build::wanted(&effective, &mut self.codecs)?;
        let reloaded = self.reload_broker(new, &mut effective)?;
        self.reconfigure_pipeline(&effective).await?;
        // From here on nothing can fail.
        if let (Some(running), Some((access, certificates))) = (&self.broker, reloaded) {
            running.set_access(access);
            running.set_certificates(certificates);
        }
        self.supervisor.reconcile(blueprints).await;
        if let Some(embedded) = &self.embedded {
            embedded.tap.set_subscriptions(wanted);
        }
        #[cfg(feature = "http")]
        {
            self.web.reload(&effective, &loaded.into()).await;
            match self.web.health() {
                Some(state) => self.supervisor.also_show("http", state),
                None => self.supervisor.show_no_more("http"),
            }
        }
        self.config_in_force.send_replace(Arc::new(effective.clone()));
        self.config = effective;
        Ok(restart)
    }

    async fn reconfigure_pipeline(&mut self, new: &Config) -> Result<(), BuildError> {
        // No model of an earlier look at the folder replaces one that is trained meanwhile.
        let _held = match &self.retraining {
            Some(retraining) => Some(retraining.hold().await),
            None => None,
        };
        let reconfiguration = build::reconfiguration(new, &mut self.codecs, &self.services)?;
        // The pipeline knows new codecs before an adapter names one.
        let (done, in_force) = oneshot::channel();
        let _ = self.control.send(Control::Reconfigure(Box::new(reconfiguration), done)).await;
        // Where nobody answers the process ends: `died` says why.
        if let Ok(Err(full)) = in_force.await {
            return Err(BuildError::new("journal", &full));
        }
        if let Some(retraining) = &self.retraining {
            retraining.follow(build::training_plan(new));
        }
        Ok(())
    }

    /// The broker's users and certificates change with a reload, its listeners do not.
    fn reload_broker(
        &self,
        new: &Config,
        effective: &mut Config,
    ) -> Result<Option<(broker::Access, broker::Certificates)>, BuildError> {
        let (Some(running), Some(new)) = (&mut effective.broker, &new.broker) else { return Ok(None) };
        running.take_reloaded(new);
        let settings = build::broker(running, &self.config)?;
        let failed = |key: &str, error: &dyn std::error::Error| BuildError {
            key: key.to_owned(),
            reason: gateway_core::chain(error),
        };
        let access = broker::Access::new(&settings).map_err(|error| failed("broker.users", &error))?;
        let certificates =
            broker::Certificates::read(&settings).map_err(|error| failed("broker.cert_file", &error))?;
        Ok(Some((access, certificates)))
    }

    /// The ledger as of now; none where the pipeline has stopped.
    #[cfg(feature = "demo")]
    pub(crate) async fn balance(&self) -> Option<Balance> {
        self.auditor.audit().await.map(|audit| audit.balance)
    }

    /// What is wrong at the moment.
    pub(crate) fn problems(&self) -> Problems {
        self.problems.clone()
    }

    /// What the watchdog asks.
    pub(crate) fn stages(&self) -> Stages {
        Stages { control: self.control.clone(), outbox: self.outbox.clone() }
    }

    /// Ends in order: adapters stop, what is in flight is stored and acknowledged, `offline` is published. From the
    /// first on the embedded broker acknowledges no reading that the adapters do not have: its senders keep them.
    pub(crate) async fn stop(mut self) {
        self.watchers.cancel();
        self.stop.cancel();
        #[cfg(feature = "http")]
        self.web.stop().await;
        self.supervisor.stop().await;
        drop(self.supervisor);
        drop(self.control);
        drop(self.auditor);
        drop(self.health);
        match tokio::time::timeout(PIPELINE_STOP_TIMEOUT, &mut self.pipeline).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::error!("the pipeline failed: {error}"),
            // An adapter that blocks its thread still holds its end of the queue.
            Err(_) => {
                self.pipeline.abort();
                tracing::error!("the pipeline did not stop in time; the journal has what it took");
            }
        }
        self.sinks.iter().for_each(RunningSink::begin_stop);
        if let Some(upstream) = self.upstream {
            upstream.stop().await;
        }
        for sink in self.sinks {
            sink.stop().await;
        }
        if let Some(outbox) = self.outbox {
            match tokio::time::timeout(OUTBOX_CLOSE_TIMEOUT, outbox.close()).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::error!("{}", gateway_core::chain(&error)),
                Err(_) => tracing::error!(
                    "the outbox's disk does not answer; what it has not stored is in the journal"
                ),
            }
        }
        if let Some(handle) = self.history {
            local_history::close(&handle).await;
        }
        if let Some(broker) = self.broker {
            broker.stop().await;
        }
        let _ = std::fs::remove_file(live_socket::path(&self.config.gateway.data_dir));
        tracing::info!("stopped");
    }
}
