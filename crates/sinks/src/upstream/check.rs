//! Checks `[upstream]`, reads its files, and makes its connection options.

use std::path::Path;
use std::time::Duration;

use gateway_core::Timestamp;
use gateway_core::files::Files;
use gateway_core::findings::{KeyPath, Report};
use gateway_core::settings::BuildError;
use mqtt_link::settings::{self, LinkSettings};
use mqtt_link::{Options, Tls};

use super::config::{Compression, Config, Format};

/// The limit: with a longer time a start after a crash would repeat too much work.
const LONGEST_SPILL: Duration = Duration::from_secs(600);

/// Resolves paths relative to the configuration's folder, and reads the password from its file.
pub fn read_files(upstream: &mut Config, files: &mut Files<'_>) {
    files.resolve([&mut upstream.ca_file, &mut upstream.cert_file, &mut upstream.key_file]);
    files.password(&KeyPath::of("upstream"), &mut upstream.password, &mut upstream.password_file);
}

/// Reports everything that is wrong with `[upstream]`. `journal`: whether there is one; `now` is for dates in
/// certificates.
pub fn check(report: &mut Report, upstream: &Config, journal: bool, now: Timestamp) {
    let table = KeyPath::of("upstream");
    let link = LinkSettings {
        url: &upstream.url,
        username: upstream.username.as_deref(),
        password: upstream.password.as_ref(),
        has_password_file: upstream.password_file.is_some(),
        ca_file: upstream.ca_file.as_deref(),
        cert_file: upstream.cert_file.as_deref(),
        key_file: upstream.key_file.as_deref(),
        keep_alive: upstream.keep_alive,
    };
    settings::check(report, &table, &link, now);
    if upstream.format == Format::Sparkplug && upstream.compression != Compression::None {
        let why = "is not there with format = \"sparkplug\", whose hosts could not read it; set \"none\"";
        report.error(&table.key("compression"), why);
    }
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

/// Warns if `file`, the configuration itself, contains the password and every user can read it.
pub fn check_own_file(report: &mut Report, upstream: &Config, file: &Path) {
    if upstream.password.is_some() && upstream.password_file.is_none() {
        report.warn_of_secret(&KeyPath::of("upstream.password"), file);
    }
}

/// Warns if the broker is not reachable now. May take some seconds.
pub fn probe(report: &mut Report, upstream: &Config) {
    settings::probe(report, &KeyPath::of("upstream.url"), &upstream.url);
}

/// The connection to the cloud, from the gateway with this id.
///
/// # Errors
/// The url is invalid, which [`check`] reports.
pub fn link(upstream: &Config, gateway: &str) -> Result<Options, BuildError> {
    let url = upstream.url.parse().map_err(|error| BuildError::new("upstream.url", &error))?;
    let default_id = || format!("riser-{gateway}");
    let mut options = Options::new(url, upstream.client_id.clone().unwrap_or_else(default_id));
    options.protocol = upstream.protocol;
    options.credentials = settings::credentials(upstream.username.as_ref(), upstream.password.as_ref());
    options.tls = Tls {
        ca_file: upstream.ca_file.clone(),
        cert_file: upstream.cert_file.clone(),
        key_file: upstream.key_file.clone(),
    };
    options.keep_alive = upstream.keep_alive.0;
    Ok(options)
}
