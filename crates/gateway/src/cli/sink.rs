//! `riser sink`: sends records to a sink again, and forgets sinks that are gone. The gateway must not run meanwhile.

use std::sync::Arc;

use clap::Subcommand;
use gateway_core::chain;
use outbox::{Count, Outbox, OutboxError};

use super::{ConfigArg, Exit, Failure, print_line, time_text};
use crate::build;

/// What to do with a sink.
#[derive(Debug, Subcommand)]
pub(crate) enum SinkCommand {
    /// Send again what a sink has had, as far as the store still has it
    #[command(
        after_help = "Examples:\n  systemctl stop riser\n  sudo -u riser riser sink rewind influxdb.local --to 2026-11-20T10:00Z\n  systemctl start riser\n\nThe store keeps a record until every sink has it and its segment (1 MiB or less) is complete: that much is there at\nmost. Records that the sink has refused are not sent again. The time is that of storing; without an offset it is UTC."
    )]
    Rewind {
        /// Kind and name, as `riser audit` prints them
        name: String,
        /// What was stored at this time or later
        #[arg(long, value_name = "TIME")]
        to: String,
        #[command(flatten)]
        config: ConfigArg,
    },
    /// Drop what is queued for a sink that is no longer in the configuration, and its counters
    #[command(
        after_help = "Examples:\n  systemctl stop riser\n  sudo -u riser riser sink forget influxdb.old\n  systemctl start riser"
    )]
    Forget {
        /// Kind and name, as `riser audit` prints them
        name: String,
        #[command(flatten)]
        config: ConfigArg,
    },
}

pub(crate) fn sink(command: SinkCommand) -> Result<Exit, Failure> {
    match command {
        SinkCommand::Rewind { name, to, config } => rewind(&name, &to, &config),
        SinkCommand::Forget { name, config } => forget(&name, &config),
    }
}

fn rewind(name: &str, to: &str, config: &ConfigArg) -> Result<Exit, Failure> {
    let Some(moment) = time_text::moment(to) else {
        let text = format!("--to {to:?} is no time; write one such as 2026-11-20T10:00Z");
        return Err(Failure::new(Exit::Usage, text));
    };
    let mut outbox = open(config)?;
    let queued = outbox.rewind(name, moment.at.as_millis()).map_err(|error| failed(&error))?;
    let Some(Count { entries, .. }) = queued else { return Err(unknown(name, &outbox)) };
    print_line(&format!("{entries} records that {name} has had are queued again"))?;
    Ok(Exit::Fine)
}

fn forget(name: &str, config: &ConfigArg) -> Result<Exit, Failure> {
    let mut outbox = open(config)?;
    if let Some(Count { entries, .. }) = outbox.forget(name).map_err(|error| failed(&error))? {
        print_line(&format!("{name} is forgotten, with {entries} records that were queued for it"))?;
        return Ok(Exit::Fine);
    }
    if outbox.totals(name).is_none() {
        return Err(unknown(name, &outbox));
    }
    let table = if name == sinks::upstream::NAME { "upstream".to_owned() } else { format!("sinks.{name}") };
    let text = format!("{name} is in the configuration; remove the table [{table}] first");
    Err(Failure::new(Exit::Usage, text))
}

fn open(config: &ConfigArg) -> Result<Outbox, Failure> {
    let config = super::run::load(config, true)?.config;
    let path = build::outbox_path(&config.gateway.data_dir);
    if !path.is_dir() {
        return Err(Failure::never_ran(&path));
    }
    let opened = Outbox::open(&path, build::outbox_options(&config), &build::sinks(&config));
    opened.map(|(outbox, _)| outbox).map_err(|error| match error {
        OutboxError::InUse { .. } => {
            let text = "the gateway is running; stop it first, with `systemctl stop riser` or Ctrl-C";
            Failure::new(Exit::Unavailable, text)
        }
        error => failed(&error),
    })
}

fn failed(error: &OutboxError) -> Failure {
    Failure::new(Exit::CannotCreate, chain(error))
}

fn unknown(name: &str, outbox: &Outbox) -> Failure {
    let names: Vec<Arc<str>> = outbox.sinks();
    Failure::new(Exit::Usage, format!("there is no sink `{name}`; there are: {}", names.join(", ")))
}
