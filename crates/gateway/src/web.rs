//! The web page: started and stopped with the gateway, and shown the configuration in force after each reload.

mod describe;
mod tools;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use gateway_config::{Config, Loaded};
use gateway_core::AdapterHealth;
use gateway_core::ports::Clock;
use gateway_core::settings::BuildError;
use gateway_http::site::{Finding, Site};
use gateway_http::{HistorySource, Server, Sources};
use pipeline::Control;
use pipeline::clock::SystemClock;
use pipeline::observe::health_source::HealthSource;
use pipeline::training::local_history;
use tokio::sync::{mpsc, watch};

use tools::GatewayTools;

/// The configuration's file, as the page shows it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Document {
    path: PathBuf,
    /// The text without secrets.
    shown: String,
    findings: Vec<Finding>,
}

impl From<&Loaded> for Document {
    fn from(loaded: &Loaded) -> Self {
        let findings = tools::findings(&loaded.warnings);
        Self { path: loaded.path.clone(), shown: loaded.shown.clone(), findings }
    }
}

/// The page, if there is one.
pub(crate) struct Web {
    sources: Sources,
    site: watch::Sender<Arc<Site>>,
    running: Option<(gateway_http::config::Config, Server)>,
}

impl Web {
    /// Starts it where the configuration has `[http]`.
    pub(crate) fn start(
        config: &Config,
        document: &Document,
        health: HealthSource,
        control: mpsc::Sender<Control>,
        history: Option<&history::Handle>,
    ) -> Result<Self, BuildError> {
        let (site, receiver) = watch::channel(Arc::new(describe::site(config, document)));
        let history = history.map(|writer| HistorySource {
            path: local_history::path(&config.gateway.data_dir),
            writer: writer.clone(),
        });
        let sources = Sources {
            read_model: health.read_model.clone(),
            auditor: health.auditor.clone(),
            health,
            control,
            history,
            site: receiver,
            tools: Arc::new(GatewayTools::new(&document.path)),
        };
        let mut web = Self { sources, site, running: None };
        web.run(config.http.as_ref())?;
        Ok(web)
    }

    fn run(&mut self, wanted: Option<&gateway_http::config::Config>) -> Result<(), BuildError> {
        let Some(wanted) = wanted else { return Ok(()) };
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let server = Server::start(wanted, self.sources.clone(), clock)?;
        self.running = Some((wanted.clone(), server));
        self.sources.read_model.messages().keep(true);
        Ok(())
    }

    /// Shows another configuration, and starts again where `[http]` has changed.
    pub(crate) async fn reload(&mut self, config: &Config, document: &Document) {
        self.site.send_replace(Arc::new(describe::site(config, document)));
        let running = self.running.as_ref().map(|(config, _)| config);
        if running == config.http.as_ref() {
            self.renew_certificate();
            return;
        }
        if let Some((_, server)) = self.running.take() {
            server.stop().await;
            self.sources.read_model.messages().keep(false);
        }
        if let Err(error) = self.run(config.http.as_ref()) {
            tracing::error!("the web page cannot be started: {error}");
        }
    }

    /// A certificate may have been renewed under its name. Logins and connections stay.
    fn renew_certificate(&self) {
        let Some((config, server)) = &self.running else { return };
        if let Err(error) = server.renew_certificate(config) {
            tracing::error!("the web page keeps its certificate: {error}");
        }
    }

    /// Whether it listens; none where there is none.
    pub(crate) fn health(&self) -> Option<watch::Receiver<AdapterHealth>> {
        self.running.as_ref().map(|(_, server)| server.health())
    }

    pub(crate) async fn stop(self) {
        if let Some((_, server)) = self.running {
            server.stop().await;
        }
    }
}

impl Document {
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}
