//! `[broker]`: its doors, and who may come in.

use std::net::{IpAddr, SocketAddr};

use ::broker::config::{Config, User};
use ::broker::{PasswordSource, validate_filter};

use super::files::check_pair;
use crate::config::key_path::KeyPath;
use crate::config::report::Report;
use crate::config::secrets::check_pem;

pub(super) fn check(report: &mut Report, broker: Option<&Config>) {
    let Some(broker) = broker else { return };
    let table = KeyPath::of("broker");
    let listeners = listeners(broker);
    if listeners.is_empty() {
        report.missing(
            &table,
            "listen",
            "missing: nobody can connect; write it, such as listen = \"0.0.0.0:1883\"",
        );
    }
    check_clashes(report, &table, &listeners);
    check_tls(report, &table, broker);
    check_entrance(report, &table, broker, &listeners);
    if !(1 << 10..=256 << 20).contains(&broker.max_packet_size.0) {
        report.error(&table.key("max_packet_size"), "is out of range; allowed: from \"1KiB\" to \"256MiB\"");
    }
    for (name, user) in &broker.users {
        check_user(report, &table.key("users").key(name), user);
    }
}

/// Every door with its key.
pub(crate) fn listeners(broker: &Config) -> Vec<(&'static str, SocketAddr)> {
    let doors = [
        ("listen", broker.listen),
        ("websocket", broker.websocket),
        ("listen_tls", broker.listen_tls),
        ("websocket_tls", broker.websocket_tls),
    ];
    doors.into_iter().filter_map(|(key, address)| Some((key, address?))).collect()
}

fn check_clashes(report: &mut Report, table: &KeyPath, listeners: &[(&'static str, SocketAddr)]) {
    for (i, (key, address)) in listeners.iter().enumerate() {
        let earlier = listeners.iter().take(i);
        if let Some((other, taken)) = earlier.into_iter().find(|(_, other)| clash(*other, *address)) {
            report.error(
                &table.key(key),
                format!("{address} clashes with {}, {taken}; give each its own port", table.key(other)),
            );
        }
    }
}

/// Whether both cannot listen at once. Port 0 is any free one.
pub(super) fn clash(one: SocketAddr, two: SocketAddr) -> bool {
    // Linux takes [::] for IPv4 as well.
    let everything = |ip: IpAddr| ip.is_unspecified() && ip.is_ipv6();
    let same = one.ip() == two.ip()
        || (one.ip().is_unspecified() && one.is_ipv4() == two.is_ipv4())
        || (two.ip().is_unspecified() && one.is_ipv4() == two.is_ipv4())
        || everything(one.ip())
        || everything(two.ip());
    one.port() != 0 && one.port() == two.port() && same
}

fn check_tls(report: &mut Report, table: &KeyPath, broker: &Config) {
    check_pair(report, table, broker.cert_file.as_deref(), broker.key_file.as_deref());
    if let Some(file) = broker.ca_file.as_deref()
        && let Err(why) = check_pem(file, "CERTIFICATE")
    {
        report.error(&table.key("ca_file"), why);
    }
    for (key, door) in [("listen_tls", broker.listen_tls), ("websocket_tls", broker.websocket_tls)] {
        if door.is_some() && broker.cert_file.is_none() && broker.key_file.is_none() {
            report.error(&table.key(key), "needs `cert_file` and `key_file`");
        }
    }
    let encrypted = broker.listen_tls.is_some() || broker.websocket_tls.is_some();
    if !encrypted && broker.cert_file.is_some() {
        report.warning(
            &table.key("cert_file"),
            "is not used: there is neither `listen_tls` nor `websocket_tls`",
        );
    }
}

fn check_entrance(
    report: &mut Report,
    table: &KeyPath,
    broker: &Config,
    listeners: &[(&'static str, SocketAddr)],
) {
    if broker.anonymous {
        for (key, address) in listeners.iter().filter(|(_, address)| !address.ip().is_loopback()) {
            report.warning(
                &table.key(key),
                format!(
                    "whoever reaches {address} may publish and subscribe to everything; set anonymous = false"
                ),
            );
        }
    } else if broker.users.is_empty() && report.is_whole(&table.key("users")) {
        report.warning(table, "there are no users and anonymous = false: nobody can connect");
    }
}

fn check_user(report: &mut Report, table: &KeyPath, user: &User) {
    let plain = user.password.is_some() || user.password_file.is_some();
    match (&user.password_hash, plain) {
        (Some(_), true) => report.error(
            &table.key("password_hash"),
            "there is a password too; keep one of password, password_file and password_hash",
        ),
        (Some(hash), false) if !hash.expose().starts_with("$argon2") => report.error(
            &table.key("password_hash"),
            "is not an Argon2 PHC string; write what `argon2 -e` prints, $argon2id$v=19$…",
        ),
        (None, false) => report.missing(
            table,
            "password_file",
            "missing; write one of password, password_file and password_hash",
        ),
        _ => {}
    }
    let from = if user.password_file.is_some() { "password_file" } else { "password" };
    for (key, text) in [(from, &user.password), ("password_hash", &user.password_hash)] {
        let Some(text) = text else { continue };
        if let Err(error) = PasswordSource::from_text(text.expose()) {
            report.error(&table.key(key), error.to_string());
        }
    }
    for (key, filters) in [("publish", &user.publish), ("subscribe", &user.subscribe)] {
        for (i, filter) in filters.iter().enumerate() {
            if let Err(error) = validate_filter(filter) {
                report
                    .error(&table.key(key).index(i), error.to_string().replace(char::is_control, "\u{fffd}"));
            }
        }
    }
    if user.publish.is_empty() && user.subscribe.is_empty() {
        let whole = report.is_whole(table);
        if whole {
            report.warning(table, "may do nothing: write what it may `publish` and `subscribe` to");
        }
    }
}
