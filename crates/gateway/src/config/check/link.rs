//! A connection to another broker: of `[upstream]` and of adapters with a `url`.

use std::path::Path;
use std::time::Duration;

use gateway_core::settings::{HumanDuration, Secret};
use mqtt_link::{BrokerUrl, Scheme};

use super::files::check_pair;
use crate::config::key_path::KeyPath;
use crate::config::report::Report;
use crate::config::secrets::check_pem;

/// Longer, and a start after a crash would have to make too much again.
const LONGEST_SPILL: Duration = Duration::from_secs(600);

/// What both kinds of connection have.
pub(super) struct Link<'a> {
    pub(super) url: &'a str,
    pub(super) username: Option<&'a str>,
    pub(super) password: Option<&'a Secret>,
    pub(super) has_password_file: bool,
    pub(super) ca_file: Option<&'a Path>,
    pub(super) cert_file: Option<&'a Path>,
    pub(super) key_file: Option<&'a Path>,
    pub(super) keep_alive: HumanDuration,
}

pub(super) fn check_upstream(
    report: &mut Report,
    upstream: Option<&sinks::upstream_mqtt::config::Config>,
    journal: bool,
) {
    let Some(upstream) = upstream else { return };
    let table = KeyPath::of("upstream");
    let link = Link {
        url: &upstream.url,
        username: upstream.username.as_deref(),
        password: upstream.password.as_ref(),
        has_password_file: upstream.password_file.is_some(),
        ca_file: upstream.ca_file.as_deref(),
        cert_file: upstream.cert_file.as_deref(),
        key_file: upstream.key_file.as_deref(),
        keep_alive: upstream.keep_alive,
    };
    check(report, &table, &link);
    if upstream.outbox.max_size.0 < 1 << 20 {
        report.error(&table.key("outbox").key("max_size"), "is too small; write at least \"1MiB\"");
    }
    let spill_after = upstream.outbox.spill_after.0;
    let key = table.key("outbox").key("spill_after");
    if spill_after > LONGEST_SPILL {
        report.error(&key, "is out of range; allowed: up to \"10m\"");
    } else if !spill_after.is_zero() && !journal {
        let why = "needs the journal, from which a crash's messages are made again; set journal.enabled = true or this to \"0s\"";
        report.error(&key, why);
    }
}

pub(super) fn check(report: &mut Report, table: &KeyPath, link: &Link<'_>) {
    check_url(report, table, link);
    check_credentials(report, table, link);
    check_pair(report, table, link.cert_file, link.key_file);
    if let Some(file) = link.ca_file
        && let Err(why) = check_pem(file, "CERTIFICATE")
    {
        report.error(&table.key("ca_file"), why);
    }
    let seconds = link.keep_alive.0.as_secs();
    if !(1..=65_535).contains(&seconds) {
        report.error(&table.key("keep_alive"), "is out of range; allowed: from \"1s\" to \"65535s\"");
    }
}

fn check_url(report: &mut Report, table: &KeyPath, link: &Link<'_>) {
    let key = table.key("url");
    // What stands before an @ is a secret: the text is not shown then.
    if link.url.contains('@') {
        report.error(
            &key,
            "credentials do not belong in the address; write username and password_file beside it",
        );
        return;
    }
    match link.url.parse::<BrokerUrl>() {
        Err(error) => report.error(&key, error.to_string().replace(char::is_control, "\u{fffd}")),
        Ok(url) if url.port() == 0 => report.error(&key, "port 0 is no port; write one such as 1883 or 8883"),
        Ok(url) => {
            let plain = matches!(url.scheme(), Scheme::Mqtt | Scheme::Ws);
            let tls = link.ca_file.is_some() || link.cert_file.is_some();
            if plain && tls {
                report.warning(
                    &key,
                    "is not encrypted, so certificates are not used; write mqtts:// or wss://",
                );
            }
        }
    }
}

fn check_credentials(report: &mut Report, table: &KeyPath, link: &Link<'_>) {
    let password = link.password.is_some() || link.has_password_file;
    match link.username {
        Some("") => report.error(&table.key("username"), "is empty"),
        Some(_) if !password => {
            report.warning(&table.key("username"), "has no password; write password_file beside it");
        }
        None if password => {
            let which = if link.has_password_file { "password_file" } else { "password" };
            report.error(&table.key(which), "there is no `username` that it belongs to");
        }
        _ => {}
    }
}
