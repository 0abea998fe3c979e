//! Checks `[http]`: what is open to the network, passwords, tokens, the certificate.

use std::path::Path;

use credentials::PasswordSource;
use gateway_core::Timestamp;
use gateway_core::files::{Files, check_pair};
use gateway_core::findings::{KeyPath, Report};
use gateway_core::listener::{Listener, Transport};
use gateway_core::settings::Secret;

use crate::config::Config;

/// A shorter token could be guessed.
const SHORTEST_TOKEN: usize = 16;

fn table() -> KeyPath {
    KeyPath::of("http")
}

/// Resolves paths relative to the configuration's folder, and reads passwords and tokens from files.
pub fn read_files(http: &mut Config, files: &mut Files<'_>) {
    files.resolve([&mut http.cert_file, &mut http.key_file]);
    files.password(&table(), &mut http.password, &mut http.password_file);
    files.secret(&table(), "view_password", &mut http.view_password, &mut http.view_password_file);
    for (name, token) in &mut http.tokens {
        files.secret(&table().key("tokens").key(name), "token", &mut token.token, &mut token.token_file);
    }
}

/// Reports everything that is wrong with `[http]`; `now` is for dates in certificates.
pub fn check(report: &mut Report, http: &Config, now: Timestamp) {
    if !cfg!(feature = "server") {
        let why = "this riser was built without the web page; use the one of the Debian package, or build it with the \
                   cargo feature `http`";
        report.error(&table(), why);
        return;
    }
    check_certificate(report, http, now);
    check_passwords(report, http);
    check_tokens(report, http);
    check_exposure(report, http);
    if http.session.0.is_zero() {
        report.error(&table().key("session"), "is zero: nobody could log in; write for example \"7d\"");
    }
    if !(8..=10_000).contains(&http.max_connections) {
        report.error(&table().key("max_connections"), "is out of range; allowed: 8 to 10000");
    }
    for (index, host) in http.hosts.iter().enumerate() {
        let wrong = host.is_empty() || host.contains(['/', ':', ' ']);
        if wrong {
            let why = format!(
                "`{host}` is no host name; write it without scheme and port, such as \"riser.example.com\""
            );
            report.error(&table().key("hosts").index(index), why);
        }
    }
}

fn check_certificate(report: &mut Report, http: &Config, now: Timestamp) {
    check_pair(report, &table(), http.cert_file.as_deref(), http.key_file.as_deref(), now);
    #[cfg(feature = "server")]
    if report.is_whole(&table().key("cert_file"))
        && report.is_whole(&table().key("key_file"))
        && let Err(error) = crate::tls::server_config(http)
    {
        report.error(&table().key("key_file"), gateway_core::chain(&error));
    }
}

fn check_passwords(report: &mut Report, http: &Config) {
    let passwords = [
        ("password", &http.password, &http.password_file),
        ("view_password", &http.view_password, &http.view_password_file),
    ];
    for (name, password, file) in passwords {
        let Some(password) = password else { continue };
        if let Err(error) = PasswordSource::from_text(password.expose()) {
            let key = if file.is_some() { format!("{name}_file") } else { name.to_owned() };
            report.error(&table().key(&key), error.to_string());
        }
    }
    if let (Some(one), Some(two)) = (&http.password, &http.view_password)
        && one.expose() == two.expose()
    {
        report.error(&table().key("view_password"), "is the same as `password`; each role needs its own");
    }
}

fn check_tokens(report: &mut Report, http: &Config) {
    for (name, token) in &http.tokens {
        let table = table().key("tokens").key(name);
        match token.token.as_ref().map(Secret::expose) {
            None if token.token_file.is_none() => {
                report.missing(&table, "token_file", "missing; write `token_file`, a file with the token");
            }
            Some(text) if text.len() < SHORTEST_TOKEN => {
                let key = if token.token_file.is_some() { "token_file" } else { "token" };
                let why = format!(
                    "the token has fewer than {SHORTEST_TOKEN} characters; make one: openssl rand -hex 32"
                );
                report.error(&table.key(key), why);
            }
            _ => {}
        }
    }
}

/// Other machines reach it: then nobody comes in unasked, and nothing secret crosses the network in the clear.
fn check_exposure(report: &mut Report, http: &Config) {
    let encrypted = http.cert_file.is_some() && http.key_file.is_some();
    if encrypted && http.insecure {
        report.warning(&table().key("insecure"), "is not used: there is a certificate");
    }
    if http.listen.ip().is_loopback() {
        return;
    }
    let listen = http.listen;
    if http.is_open() && http.password_file.is_none() && http.view_password_file.is_none() {
        let why = format!(
            "{listen} is open to the network: write `password_file` or `tokens`, or listen on 127.0.0.1; `riser http enable` \
             does it for you"
        );
        report.error(&table().key("listen"), why);
    }
    if !encrypted && !http.insecure {
        let why = format!(
            "{listen} is open to the network: write `cert_file` and `key_file` (`riser http certificate` makes them), or \
             insecure = true"
        );
        report.error(&table().key("listen"), why);
    } else if !encrypted {
        report.warning(&table().key("insecure"), "passwords and data cross the network in the clear");
    }
}

/// The address that it listens on.
#[must_use]
pub fn listener(http: &Config) -> Listener {
    Listener { key: table().key("listen"), transport: Transport::Tcp, address: http.listen }
}

/// Warns if `file`, the configuration itself, contains a password or token and every user can read it.
pub fn check_own_file(report: &mut Report, http: &Config, file: &Path) {
    if http.password.is_some() && http.password_file.is_none() {
        report.warn_of_secret(&table().key("password"), file);
    }
    if http.view_password.is_some() && http.view_password_file.is_none() {
        report.warn_of_secret(&table().key("view_password"), file);
    }
    let inline = http.tokens.iter().filter(|(_, token)| token.token.is_some() && token.token_file.is_none());
    for (name, _) in inline {
        report.warn_of_secret(&table().key("tokens").key(name).key("token"), file);
    }
}
