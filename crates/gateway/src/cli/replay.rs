//! `riser replay`: recorded readings through the same engine as a running gateway's, as fast as they go. The
//! recording's time is the clock. Devices as a whole are judged by the models in the configured data directory.

use std::path::PathBuf;
use std::time::Duration;

use gateway_core::{AdapterId, DeviceId, DropReason, Now, Reading, Timestamp};

use super::{ConfigArg, Exit, Failure, audit, print_line, tail};
use crate::build;
use pipeline::deliver::publish::unnumbered;
use pipeline::deliver::records::{self, Identity};
use pipeline::engine::combinations::NewModel;
use pipeline::engine::ledger::{Account, ExternalAccounts};
use pipeline::engine::step::AdapterIndex;
use pipeline::engine::step::{Batch, NewMetric, Step, StepReading};
use pipeline::engine::{Engine, Outputs};
use pipeline::observe::live_socket::Line;
use pipeline::training::models;

pub(in crate::cli) mod recording;
mod summary;

use recording::Row;
use summary::Summary;

/// Which recording, and what of it to print.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// JSON lines (.jsonl, .json, .ndjson) or CSV
    file: PathBuf,
    #[command(flatten)]
    config: ConfigArg,
    /// One JSON object a line
    #[arg(long)]
    json: bool,
    /// Leave the aggregates out
    #[arg(long)]
    alerts: bool,
}

pub(crate) fn replay(args: &Args) -> Result<Exit, Failure> {
    crate::telemetry::start("warn");
    let file = &args.file;
    let config = super::run::load_or_default(&args.config)?.config;
    let rows = recording::open(file)?;
    let mut replay = Replay::new(&config, args);
    let mut last_line = 0;
    for row in rows {
        match row {
            Ok(row) => replay.take(&row)?,
            Err(problem) => {
                last_line = problem.line;
                replay.refuse()?;
                if replay.bad_rows <= 10 {
                    tracing::warn!(
                        "{}:{}: {}; this row is left out",
                        file.display(),
                        problem.line,
                        problem.reason
                    );
                }
            }
        }
    }
    if replay.taken == 0 && replay.bad_rows > 0 {
        let message = format!("{}: no row could be read, up to line {last_line}", file.display());
        return Err(Failure::new(Exit::NoInput, message));
    }
    replay.finish()
}

struct Replay {
    engine: Engine,
    /// Those of devices as a whole, until the first step has them.
    models: Vec<NewModel>,
    identity: Identity,
    json: bool,
    only_alerts: bool,
    summary: Summary,
    /// The earliest event time.
    begin: Timestamp,
    now: Now,
    published: u64,
    taken: u64,
    bad_rows: u64,
}

impl Replay {
    fn new(config: &gateway_config::Config, args: &Args) -> Self {
        let mut settings = build::settings(config);
        // What is printed counts as published.
        settings.upstream = true;
        let engine = Engine::new(settings);
        let models = engine.combinations().difference(models::load(&config.gateway.data_dir));
        Self {
            engine,
            models,
            identity: Identity { id: config.gateway.id(), prefix: config.gateway.prefix.clone() },
            json: args.json,
            only_alerts: args.alerts,
            summary: Summary::default(),
            begin: Timestamp::MAX,
            now: Now::at(Timestamp::from_millis(i64::MIN)),
            published: 0,
            taken: 0,
            bad_rows: 0,
        }
    }

    /// One row is one step: its time is the present, unless an earlier row was later.
    fn take(&mut self, row: &Row) -> Result<(), Failure> {
        while let Some(due) = self.engine.next_deadline().filter(|due| *due <= row.at) {
            self.tick(due)?;
        }
        self.now = Now::at(self.now.at.max(row.at));
        self.begin = self.begin.min(row.at);
        let mut step = self.step();
        let registry = self.engine.registry();
        let device = step.names.device(registry, &row.device);
        let mut batch = Batch::new(AdapterIndex(0));
        for recording::Value { metric: name, value, boolean } in &row.metrics {
            let metric = step.names.metric(registry, name, || NewMetric {
                name: name.as_str().into(),
                unit: codecs::unit_of(name).map(Into::into),
                boolean: *boolean,
            });
            let reading = Reading { device, metric, value: *value, at: row.at };
            batch.readings.push(StepReading::new(reading, self.now));
        }
        self.taken += batch.readings.len() as u64;
        step.batches.push(batch);
        self.apply(&step)
    }

    /// A row that cannot be read counts as one reading.
    fn refuse(&mut self) -> Result<(), Failure> {
        self.bad_rows += 1;
        let mut step = self.step();
        let mut batch = Batch::new(AdapterIndex(0));
        batch.drop(DropReason::BadPayload, 1);
        step.batches.push(batch);
        self.apply(&step)
    }

    fn step(&mut self) -> Step {
        let mut step = Step::tick(self.now, None, self.engine.registry().next_numbers());
        step.models = std::mem::take(&mut self.models);
        step.names.adapter(self.engine.registry(), &AdapterId::new("replay", "file"));
        step
    }

    fn apply(&mut self, step: &Step) -> Result<(), Failure> {
        let mut outputs = Outputs::default();
        self.engine.apply(step, &mut outputs);
        let registry = self.engine.registry();
        for alert in &outputs.alerts {
            let json = unnumbered(&records::alert(alert, registry, &self.identity));
            self.summary.note(alert, detector(&json).as_deref(), registry);
            self.print("alert", &json)?;
        }
        for closed in &outputs.aggregates {
            self.published += u64::from(closed.aggregate.readings);
            if !self.only_alerts {
                let record = records::aggregate(&closed.aggregate, registry, &self.identity);
                self.print("aggregate", &unnumbered(&record))?;
            }
        }
        Ok(())
    }

    fn print(&self, kind: &str, json: &str) -> Result<(), Failure> {
        if self.json {
            return print_line(json);
        }
        let item = serde_json::from_str(json).unwrap_or_default();
        print_line(&tail::for_people(&Line { kind: kind.to_owned(), item }))
    }

    /// Lets time go by until something is due.
    fn tick(&mut self, due: Timestamp) -> Result<(), Failure> {
        self.now = Now::at(due.max(self.now.at + Duration::from_millis(1)));
        let step = self.step();
        self.apply(&step)
    }

    /// Lets time go by until every window is closed, then prints the ledger.
    fn finish(mut self) -> Result<Exit, Failure> {
        let (begin, end) = (self.begin, self.now.at);
        while let Some(due) = self.engine.next_deadline().filter(|_| self.engine.open_readings() > 0) {
            self.tick(due)?;
        }
        let account = Account { published: self.published, ..Account::default() };
        let external = ExternalAccounts { accounts: [("replay.file".into(), account)].into() };
        let balance = pipeline::balance(&self.engine, &external);
        let devices = (0..self.engine.registry().device_count()).map(DeviceId);
        let series = devices.map(|device| self.engine.metrics_of(device)).sum();
        let alerts = self.summary.rows(end);
        print_line(&if self.json {
            serde_json::json!({ "alerts": alerts, "ledger": balance }).to_string()
        } else {
            let mut lines = summary::for_people(&alerts, series, end.since(begin));
            lines.push(audit::for_people(&balance));
            lines.join("\n")
        })?;
        Ok(if balance.balanced { Exit::Fine } else { Exit::Unbalanced })
    }
}

/// Which detector an alert is of, where its payload says so.
fn detector(alert: &str) -> Option<String> {
    let alert: serde_json::Value = serde_json::from_str(alert).ok()?;
    Some(alert.get("detector")?.as_str()?.to_owned())
}
