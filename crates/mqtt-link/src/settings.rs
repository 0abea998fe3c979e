//! What configurations say of a connection to a broker: checked and probed in one place, for adapters and sinks alike.

use std::io;
use std::net::{TcpStream, ToSocketAddrs as _};
use std::path::Path;
use std::time::Duration;

use gateway_core::Timestamp;
use gateway_core::files::{check_ca, check_pair};
use gateway_core::findings::{KeyPath, Report, one_line};
use gateway_core::settings::{HumanDuration, Secret};

use crate::{BrokerUrl, Scheme};

/// How long a broker may take to answer a probe.
const PROBE_TIMEOUT: Duration = Duration::from_secs(2);

/// The keys of a connection, as a configuration has them.
pub struct LinkSettings<'a> {
    /// `mqtt://`, `mqtts://`, `ws://` or `wss://`, host and port.
    pub url: &'a str,
    /// The user name.
    pub username: Option<&'a str>,
    /// The password.
    pub password: Option<&'a Secret>,
    /// Whether the password stands in a file.
    pub has_password_file: bool,
    /// Trusted authorities.
    pub ca_file: Option<&'a Path>,
    /// Our certificate.
    pub cert_file: Option<&'a Path>,
    /// Its key.
    pub key_file: Option<&'a Path>,
    /// A ping at least this often.
    pub keep_alive: HumanDuration,
}

/// Reports everything that is wrong with the connection in `table`.
pub fn check(report: &mut Report, table: &KeyPath, link: &LinkSettings<'_>, now: Timestamp) {
    check_url(report, table, link);
    check_credentials(report, table, link);
    check_pair(report, table, link.cert_file, link.key_file, now);
    check_ca(report, table, link.ca_file);
    let seconds = link.keep_alive.0.as_secs();
    if !(1..=65_535).contains(&seconds) {
        report.error(&table.key("keep_alive"), "is out of range; allowed: from \"1s\" to \"65535s\"");
    }
}

fn check_url(report: &mut Report, table: &KeyPath, link: &LinkSettings<'_>) {
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
        Err(error) => report.error(&key, one_line(&error.to_string())),
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

fn check_credentials(report: &mut Report, table: &KeyPath, link: &LinkSettings<'_>) {
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

/// Warns, at `key`, where nothing takes a connection at `url` now. Takes [`PROBE_TIMEOUT`] for each of its addresses at
/// most.
pub fn probe(report: &mut Report, key: &KeyPath, url: &str) {
    if let Some(Err(why)) = url.parse::<BrokerUrl>().ok().map(|url| reach(&url)) {
        report.warning(key, why);
    }
}

fn reach(url: &BrokerUrl) -> Result<(), String> {
    let place = format!("{}:{}", url.host(), url.port());
    let unreachable = |error: io::Error| format!("{place} is out of reach now: {error}");
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for address in (url.host(), url.port()).to_socket_addrs().map_err(unreachable)? {
        match TcpStream::connect_timeout(&address, PROBE_TIMEOUT) {
            Ok(_) => return Ok(()),
            Err(error) => last = error,
        }
    }
    Err(unreachable(last))
}

/// User name and password for a connection; a user without a password has an empty one.
#[must_use]
pub fn credentials(username: Option<&String>, password: Option<&Secret>) -> Option<(String, Secret)> {
    let password = password.cloned().unwrap_or_else(|| Secret::new(String::new()));
    username.map(|user| (user.clone(), password))
}
