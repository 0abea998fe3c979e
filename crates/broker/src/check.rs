//! Checks `[broker]`: its files, listeners, certificates and users.

use gateway_core::files::{Files, check_ca, check_pair};
use gateway_core::findings::{KeyPath, Report, one_line};
use gateway_core::listener::{Listener, Transport};
use gateway_core::{Timestamp, chain};

use crate::config::{Bridge, Config, User};
use crate::{PasswordSource, bridge, validate_filter};

/// Resolves paths relative to the configuration's folder, and reads passwords from files.
pub fn read_files(broker: &mut Config, files: &mut Files<'_>) {
    files.resolve([&mut broker.ca_file, &mut broker.cert_file, &mut broker.key_file, &mut broker.socket]);
    for (name, user) in &mut broker.users {
        let table = KeyPath::of("broker.users").key(name);
        files.password(&table, &mut user.password, &mut user.password_file);
    }
    for (name, bridge) in &mut broker.bridges {
        let table = KeyPath::of("broker.bridges").key(name);
        files.resolve([&mut bridge.ca_file, &mut bridge.cert_file, &mut bridge.key_file]);
        files.password(&table, &mut bridge.password, &mut bridge.password_file);
    }
}

/// Reports everything that is wrong with `[broker]`; `now` is for dates in certificates.
pub fn check(report: &mut Report, broker: &Config, now: Timestamp) {
    let table = KeyPath::of("broker");
    let listeners = listeners(broker);
    if listeners.is_empty() && broker.socket.is_none() {
        report.missing(
            &table,
            "listen",
            "missing: no client can connect; write it, such as listen = \"0.0.0.0:1883\"",
        );
    }
    check_tls(report, &table, broker, now);
    check_entrance(report, &table, broker, &listeners);
    check_limits(report, &table, broker);
    for (name, user) in &broker.users {
        check_user(report, &table.key("users").key(name), user, broker.user_from_certificate);
    }
    for (name, bridge) in &broker.bridges {
        bridge::check::check(report, &table.key("bridges").key(name), bridge, now);
    }
}

/// Warns of each broker that a bridge does not reach now. May take some seconds.
pub fn probe(report: &mut Report, broker: &Config) {
    for (name, bridge) in &broker.bridges {
        bridge::check::probe(report, &KeyPath::of("broker.bridges").key(name), bridge);
    }
}

/// Every address that it listens on.
#[must_use]
pub fn listeners(broker: &Config) -> Vec<Listener> {
    let addresses = [
        ("listen", broker.listen),
        ("websocket", broker.websocket),
        ("listen_tls", broker.listen_tls),
        ("websocket_tls", broker.websocket_tls),
    ];
    let listener = |(key, address): (&str, Option<_>)| {
        Some(Listener { key: KeyPath::of("broker").key(key), transport: Transport::Tcp, address: address? })
    };
    addresses.into_iter().filter_map(listener).collect()
}

/// Warns if `file`, the configuration itself, contains a password and every user can read it.
pub fn check_own_file(report: &mut Report, broker: &Config, file: &std::path::Path) {
    let inline = |user: &User| user.password.is_some() && user.password_file.is_none();
    for (name, _) in broker.users.iter().filter(|(_, user)| inline(user)) {
        report.warn_of_secret(&KeyPath::of("broker.users").key(name).key("password"), file);
    }
    let inline = |bridge: &Bridge| bridge.password.is_some() && bridge.password_file.is_none();
    for (name, _) in broker.bridges.iter().filter(|(_, bridge)| inline(bridge)) {
        report.warn_of_secret(&KeyPath::of("broker.bridges").key(name).key("password"), file);
    }
}

fn check_tls(report: &mut Report, table: &KeyPath, broker: &Config, now: Timestamp) {
    check_pair(report, table, broker.cert_file.as_deref(), broker.key_file.as_deref(), now);
    check_ca(report, table, broker.ca_file.as_deref());
    for (key, address) in [("listen_tls", broker.listen_tls), ("websocket_tls", broker.websocket_tls)] {
        if address.is_some() && broker.cert_file.is_none() && broker.key_file.is_none() {
            report.error(&table.key(key), "needs `cert_file` and `key_file`");
        }
    }
    if let (Some(cert_file), Some(key_file)) = (&broker.cert_file, &broker.key_file)
        && report.is_whole(&table.key("cert_file"))
        && report.is_whole(&table.key("key_file"))
    {
        let pair = crate::Tls {
            cert_file: cert_file.clone(),
            key_file: key_file.clone(),
            client_ca_file: None,
            listen: None,
            websocket: None,
        };
        if let Err(error) = crate::tls::server_config(&pair) {
            report.error(&table.key("key_file"), chain(&error));
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

fn check_entrance(report: &mut Report, table: &KeyPath, broker: &Config, listeners: &[Listener]) {
    let open = broker.anonymous_publish.is_none() || broker.anonymous_subscribe.is_none();
    if broker.anonymous {
        for Listener { key, address, .. } in
            listeners.iter().filter(|one| open && !one.address.ip().is_loopback())
        {
            report.warning(
                key,
                format!(
                    "any host that reaches {address} may publish and subscribe to everything; set anonymous = false"
                ),
            );
        }
    } else if broker.users.is_empty() && report.is_whole(&table.key("users")) {
        report.warning(table, "there are no users and anonymous = false: no client can connect");
    }
}

fn check_filters(report: &mut Report, key: &KeyPath, filters: &[String]) {
    for (i, filter) in filters.iter().enumerate() {
        if let Err(error) = validate_filter(filter) {
            report.error(&key.index(i), one_line(&error.to_string()));
        }
        let placeholder = |part: &&str| part.starts_with('%') && !matches!(*part, "%u" | "%c");
        if let Some(part) = filter.split('/').find(placeholder) {
            let text =
                format!("{part} stands for itself; only %u and %c stand for the user and the client id");
            report.warning(&key.index(i), text);
        }
    }
}

fn check_limits(report: &mut Report, table: &KeyPath, broker: &Config) {
    // A record of the journal has at most 16 MiB, and a packet is one record.
    let sizes = [
        ("max_packet_size", broker.max_packet_size, 20, 15 << 20, "from \"20B\" to \"15MiB\""),
        ("max_queue_size", broker.max_queue_size, 1 << 10, 1 << 30, "from \"1KiB\" to \"1GiB\""),
        ("max_memory", broker.max_memory, 1 << 20, 16 << 30, "from \"1MiB\" to \"16GiB\""),
        ("max_connect_memory", broker.max_connect_memory, 640 << 10, 1 << 30, "from \"640KiB\" to \"1GiB\""),
        ("max_retained_size", broker.max_retained_size, 0, 16 << 30, "up to \"16GiB\""),
    ];
    for (key, size, least, most, allowed) in sizes {
        if !(least..=most).contains(&size.0) {
            report.error(&table.key(key), format!("is out of range; allowed: {allowed}"));
        }
    }
    if broker.max_queue_size.0 > broker.max_memory.0 {
        report.warning(&table.key("max_queue_size"), "is more than max_memory: it is never reached");
    }
    if broker.max_payload_size.is_some_and(|payload| payload.0 > broker.max_packet_size.0) {
        report.warning(&table.key("max_payload_size"), "is more than max_packet_size: it is never reached");
    }
    let folder = broker.socket.as_deref().and_then(std::path::Path::parent);
    if let Some(folder) = folder.filter(|folder| !folder.as_os_str().is_empty() && !folder.is_dir()) {
        report.error(&table.key("socket"), format!("{} is not there; make this folder", folder.display()));
    }
    if !(1..=65_535).contains(&broker.max_keep_alive.map_or(1, |longest| longest.0.as_secs())) {
        report.error(&table.key("max_keep_alive"), "is out of range; allowed: from \"1s\" to \"18h\"");
    }
    if broker.connect_timeout.0.is_zero() {
        report.error(
            &table.key("connect_timeout"),
            "is zero: no client could connect; write for example \"10s\"",
        );
    }
    if broker.packet_timeout.0.is_zero() {
        let why = "is zero: no large packet could come; write for example \"30s\"";
        report.error(&table.key("packet_timeout"), why);
    }
    if broker.user_from_certificate && broker.ca_file.is_none() {
        report.error(
            &table.key("user_from_certificate"),
            "needs `ca_file`, which says whose certificates count",
        );
    }
    let anonymous = [
        ("anonymous_publish", &broker.anonymous_publish),
        ("anonymous_subscribe", &broker.anonymous_subscribe),
    ];
    for (key, filters) in anonymous {
        check_filters(report, &table.key(key), filters.as_deref().unwrap_or_default());
        if filters.is_some() && !broker.anonymous {
            report.warning(&table.key(key), "is not used: anonymous = false");
        }
    }
}

/// `by_certificate`: users may come with a certificate instead of a password.
fn check_user(report: &mut Report, table: &KeyPath, user: &User, by_certificate: bool) {
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
        (None, false) if !by_certificate => report.missing(
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
        check_filters(report, &table.key(key), filters);
    }
    if user.publish.is_empty() && user.subscribe.is_empty() {
        let whole = report.is_whole(table);
        if whole {
            report.warning(table, "may do nothing: write what it may `publish` and `subscribe` to");
        }
    }
}
