//! `riser audit`: the loss ledger, of a running gateway from itself, of a stopped one from its files.

use gateway_config::Config;
use std::time::Duration;

use outbox::Outbox;

use super::request::request;
use super::{ConfigArg, Exit, Failure, print_line};
use crate::build;
use pipeline::durable::reconcile::FoundAtStart;
use pipeline::durable::store;
use pipeline::engine::ledger::ExternalAccounts;
use pipeline::observe::audit::{Audit, SinkRecords, newest_first};
use pipeline::observe::live_socket::Question;
use read_model::{Balance, Row};

/// How often, and how long after each other, a gateway that is starting is asked.
const ATTEMPTS: u32 = 25;
const PAUSE: Duration = Duration::from_millis(200);

/// Ranges of given-up messages that people are shown.
const RANGES: usize = 10;

pub(crate) fn audit(config: &ConfigArg, json: bool) -> Result<Exit, Failure> {
    let config = super::run::load(config, true)?.config;
    let audit = super::runtime()?.block_on(async {
        let mut attempts = 1;
        loop {
            match found(&config).await {
                // A gateway that is starting has its files already and answers in a moment.
                Err(Trouble::InUse(_)) if attempts < ATTEMPTS => tokio::time::sleep(PAUSE).await,
                Err(Trouble::InUse(failure) | Trouble::Other(failure)) => return Err(failure),
                Ok(audit) => return Ok(audit),
            }
            attempts += 1;
        }
    })?;
    print_line(&if json { serde_json::to_string(&audit).unwrap_or_default() } else { report(&audit) })?;
    Ok(if audit.balance.balanced { Exit::Fine } else { Exit::Unbalanced })
}

/// Why there is no answer.
enum Trouble {
    /// A gateway has the files open, and does not answer.
    InUse(Failure),
    Other(Failure),
}

/// From the running gateway, or else from its files.
async fn found(config: &Config) -> Result<Audit, Trouble> {
    let data_dir = &config.gateway.data_dir;
    match request(data_dir, &Question::Audit).await.map_err(Trouble::Other)? {
        Some(audit) => Ok(audit),
        None => of_files(config),
    }
}

/// As the files stand: what a crash left undelivered is counted as queued, for a start would queue it.
fn of_files(config: &Config) -> Result<Audit, Trouble> {
    let data_dir = &config.gateway.data_dir;
    if !data_dir.is_dir() {
        return Err(Trouble::Other(Failure::never_ran(data_dir)));
    }
    let failed = |error: &dyn std::error::Error| Failure::new(Exit::NoInput, gateway_core::chain(error));
    let outbox_failed = |error: outbox::OutboxError| match error {
        outbox::OutboxError::InUse { .. } => Trouble::InUse(failed(&error)),
        _ => Trouble::Other(failed(&error)),
    };
    let outbox = build::outbox_path(data_dir);
    let found = if outbox.is_dir() { Some(Outbox::inspect(&outbox).map_err(outbox_failed)?) } else { None };
    let mark = found.as_ref().map_or(0, |found| found.mark);
    let ledger_sink = build::ledger_sink(config);
    let ledger = found.as_ref().and_then(|found| found.sinks.iter().find(|sink| sink.name == ledger_sink));
    let mut external =
        ledger.map_or_else(ExternalAccounts::default, |sink| ExternalAccounts::from(&sink.accounts));
    let settings = build::settings(config);
    let mut recovered =
        store::inspect(data_dir, settings.clone(), mark).map_err(|error| Trouble::Other(failed(&error)))?;
    if recovered.engine.settings().upstream && settings.upstream {
        for share in
            recovered.outputs.iter().flat_map(|(_, outputs)| pipeline::shares(&recovered.engine, outputs))
        {
            external.queue(&share.account, u64::from(share.weight));
        }
    }
    let outbox_is_new = found.as_ref().is_none_or(|found| found.next_seq == 1);
    let at_start = FoundAtStart { damaged: outbox_is_new, ledger_sink: ledger.map(|sink| sink.id) };
    store::reconcile(&mut recovered, &external, at_start, &settings);
    Ok(Audit {
        balance: pipeline::balance(&recovered.engine, &external),
        dropped_ranges: ledger.map(|sink| newest_first(&sink.dropped)).unwrap_or_default(),
        sinks: found.iter().flat_map(|found| &found.sinks).map(sink_records).collect(),
        models: recovered.engine.models(),
        disk: None,
    })
}

fn sink_records(sink: &outbox::SinkInspection) -> (String, SinkRecords) {
    (sink.name.to_string(), SinkRecords::from(&sink.totals))
}

/// Everything, for people.
fn report(audit: &Audit) -> String {
    let mut lines = vec![for_people(&audit.balance)];
    lines.extend(audit.sinks.iter().map(|(name, records)| sink_line(name, records)));
    for range in audit.dropped_ranges.iter().take(RANGES) {
        let numbers = if range.from == range.to {
            range.from.to_string()
        } else {
            format!("{}-{}", range.from, range.to)
        };
        lines.push(format!(
            "gave up seq {numbers} at {}: {} ({} readings)",
            range.time, range.reason, range.readings
        ));
    }
    let more = audit.dropped_ranges.len().saturating_sub(RANGES);
    if more > 0 {
        lines.push(format!("and {more} ranges before; --json lists them"));
    }
    if let Some(disk) = &audit.disk {
        let per_reading =
            disk.per_reading.map_or_else(String::new, |bytes| format!(", {bytes} bytes a reading"));
        let per_day = disk.per_day / 1e6;
        lines.push(format!(
            "disk: {} kB since {}{per_reading}, {per_day:.1} MB a day",
            disk.bytes / 1000,
            disk.since
        ));
    } else {
        lines.push("no gateway runs: the figures of its files".to_owned());
    }
    lines.join("\n")
}

fn sink_line(name: &str, records: &SinkRecords) -> String {
    let SinkRecords { delivered, queued, dropped, same_time, bytes, lag_s, last_error } = records;
    let mut line = format!("sink {name}: {delivered} records delivered, {queued} queued");
    if *queued > 0 {
        let kilobytes = bytes.div_ceil(1000);
        let lag = lag_s.map_or_else(String::new, |lag| format!(", the oldest for {lag} s"));
        line += &format!(" ({kilobytes} kB{lag})");
    }
    line += &format!(", {dropped} dropped");
    if *same_time > 0 {
        line += &format!(" ({same_time} replaced by a later reading with the same time)");
    }
    if let Some(error) = last_error {
        line += &format!("; {error}");
    }
    line
}

/// The ledger as a small table.
pub(crate) fn for_people(balance: &Balance) -> String {
    let mut lines = rows(&balance.total);
    for (adapter, row) in &balance.adapters {
        let dropped: u64 = row.dropped.values().sum();
        lines.push(format!(
            "by {adapter}: in {} = published {} + queued {} + open {} + dropped {dropped}",
            row.taken, row.published, row.queued, row.open
        ));
    }
    lines.push(if balance.balanced {
        "balanced: in = published + queued + open + dropped".to_owned()
    } else {
        "NOT BALANCED: readings are missing or counted twice; please report this with the files in data_dir"
            .to_owned()
    });
    lines.join("\n")
}

fn rows(row: &Row) -> Vec<String> {
    let mut lines = vec![
        format!("in         {:>12}", row.taken),
        format!("published  {:>12}", row.published),
        format!("queued     {:>12}", row.queued),
        format!("open       {:>12}", row.open),
    ];
    lines.extend(row.dropped.iter().map(|(reason, count)| format!("dropped    {count:>12}  {reason}")));
    lines
}
