//! `riser audit`: the loss ledger, of a running gateway from itself, of a stopped one from its files.

use std::path::Path;
use std::time::Duration;

use outbox::Outbox;
use tokio::io::AsyncBufReadExt as _;

use super::{ConfigArg, Exit, Failure, print_line};
use crate::build;
use crate::config::model::Config;
use crate::live_socket::{self, Question};
use crate::pipeline::ledger::{Balance, Beyond};
use crate::pipeline::{self, from_totals, store};

/// How long a running gateway may take to answer.
const PATIENCE: Duration = Duration::from_secs(15);

pub(crate) fn audit(config: &ConfigArg, json: bool) -> Result<Exit, Failure> {
    let config = super::run::load(config, true)?.config;
    let data_dir = &config.gateway.data_dir;
    let running = super::runtime()?.block_on(async {
        tokio::time::timeout(PATIENCE, ask(data_dir)).await.map_err(|_| {
            let path = live_socket::path(data_dir);
            Failure::new(
                Exit::Unavailable,
                format!("the gateway at {} does not answer; is its disk full?", path.display()),
            )
        })
    })??;
    let balance = match running {
        Some(balance) => balance,
        None => of_files(&config)?,
    };
    print_line(&if json {
        // The interface names the keys; the adapters are for people and for `health`.
        serde_json::to_string(&Balance { adapters: Default::default(), ..balance.clone() })
            .unwrap_or_default()
    } else {
        for_people(&balance)
    })?;
    Ok(if balance.balanced { Exit::Fine } else { Exit::Unbalanced })
}

async fn ask(data_dir: &Path) -> Result<Option<Balance>, Failure> {
    let failed = |error: &dyn std::fmt::Display| {
        let path = live_socket::path(data_dir);
        Failure::new(
            Exit::Unavailable,
            format!("cannot ask the running gateway at {}: {error}", path.display()),
        )
    };
    let Some(mut answer) = live_socket::ask(data_dir, &Question::Audit).await.map_err(|e| failed(&e))? else {
        return Ok(None);
    };
    let mut line = String::new();
    answer.read_line(&mut line).await.map_err(|e| failed(&e))?;
    serde_json::from_str(&line).map(Some).map_err(|e| failed(&e))
}

/// As the files stand: what a crash left undelivered is counted as queued, for a start would queue it.
fn of_files(config: &Config) -> Result<Balance, Failure> {
    let data_dir = &config.gateway.data_dir;
    if !data_dir.is_dir() {
        let message =
            format!("{} is not there: no gateway has run with this configuration", data_dir.display());
        return Err(Failure::new(Exit::NoInput, message));
    }
    let failed = |error: &dyn std::error::Error| Failure::new(Exit::NoInput, crate::telemetry::chain(error));
    let outbox = build::outbox_path(data_dir);
    let (mut beyond, mark, before) = if outbox.is_file() {
        let found = Outbox::inspect(&outbox).map_err(|e| failed(&e))?;
        (from_totals(&found.totals), found.mark, found.totals.accepted.weight)
    } else {
        (Beyond::default(), 0, 0)
    };
    let mut recovered = store::inspect(data_dir, build::settings(config), mark).map_err(|e| failed(&e))?;
    if recovered.is_new {
        recovered.engine.begin_after(before);
    }
    if recovered.engine.settings().upstream {
        beyond.queued += recovered
            .outputs
            .iter()
            .flat_map(|(_, outputs)| &outputs.aggregates)
            .map(|aggregate| u64::from(aggregate.readings))
            .sum::<u64>();
    }
    Ok(pipeline::balance(&recovered.engine, beyond))
}

/// The ledger as a small table.
pub(crate) fn for_people(balance: &Balance) -> String {
    let mut lines = vec![
        format!("in         {:>12}", balance.taken),
        format!("published  {:>12}", balance.published),
        format!("queued     {:>12}", balance.queued),
        format!("open       {:>12}", balance.open),
    ];
    for (reason, count) in &balance.dropped {
        lines.push(format!("dropped    {count:>12}  {reason}"));
    }
    for (adapter, row) in &balance.adapters {
        let dropped: u64 = row.dropped.values().sum();
        lines.push(format!("by {adapter}: in {}, dropped {dropped}", row.taken));
    }
    lines.push(if balance.balanced {
        "balanced: in = published + queued + open + dropped".to_owned()
    } else {
        "NOT BALANCED: readings are missing or counted twice; please report this with the files in data_dir"
            .to_owned()
    });
    lines.join("\n")
}
