//! Certificates and keys that the configuration names, and the configuration file itself.

use std::path::Path;

use gateway_core::Timestamp;
use gateway_core::ports::Clock as _;
use mqtt_link::tls;

use crate::config::key_path::KeyPath;
use crate::config::model::Config;
use crate::config::report::Report;
use crate::config::secrets::{check_pem, warn_if_public};
use pipeline::clock::SystemClock;

/// A certificate and its key: both or none, readable, PEM.
pub(super) fn check_pair(report: &mut Report, table: &KeyPath, cert: Option<&Path>, key: Option<&Path>) {
    match (cert, key) {
        (Some(_), None) => report.error(&table.key("cert_file"), "has no `key_file` beside it"),
        (None, Some(_)) => report.error(&table.key("key_file"), "has no `cert_file` beside it"),
        _ => {}
    }
    if let Some(file) = cert {
        match check_pem(file, "CERTIFICATE") {
            Err(why) => report.error(&table.key("cert_file"), why),
            Ok(()) => check_validity(report, &table.key("cert_file"), file, SystemClock.now()),
        }
    }
    if let Some(file) = key {
        match check_pem(file, "PRIVATE KEY") {
            Err(why) => report.error(&table.key("key_file"), why),
            Ok(()) => warn_if_public(report, &table.key("key_file"), file),
        }
    }
}

/// Warns of certificates that are not valid now. Not an error, whichever it is: the clock may be wrong, and a gateway
/// that did not start for it would not be there when it is set. (The dates of authorities in a `ca_file` are not looked
/// at when connecting either.)
fn check_validity(report: &mut Report, key: &KeyPath, file: &Path, now: Timestamp) {
    // What cannot be read as a certificate fails when it is used, and says so.
    let validities = tls::validities(file).unwrap_or_default();
    let (path, clock) = (file.display(), format!("this machine's clock says {now}"));
    if let Some(validity) = validities.iter().find(|validity| now < validity.from) {
        report.warning(key, format!("{path} is not valid before {}, and {clock}; is it set?", validity.from));
    }
    if let Some(validity) = validities.iter().find(|validity| now > validity.until) {
        report.warning(
            key,
            format!("{path} was valid until {}, and {clock}; renew it, or set the clock", validity.until),
        );
    }
}

/// A configuration file with a password in it should not be everybody's to read.
pub(crate) fn check_own_file(report: &mut Report, config: &Config, file: &Path) {
    let inline = |password: bool, password_file: bool| password && !password_file;
    let upstream =
        config.upstream.iter().filter(|up| inline(up.password.is_some(), up.password_file.is_some()));
    let upstream = upstream.map(|_| KeyPath::of("upstream"));
    let adapters = config.adapters.mqtt.iter();
    let adapters = adapters.filter(|(_, one)| inline(one.password.is_some(), one.password_file.is_some()));
    let adapters = adapters.map(|(name, _)| KeyPath::of("adapters.mqtt").key(name));
    let users = config.broker.iter().flat_map(|broker| &broker.users);
    let users = users.filter(|(_, user)| inline(user.password.is_some(), user.password_file.is_some()));
    let users = users.map(|(name, _)| KeyPath::of("broker.users").key(name));
    for table in upstream.chain(adapters).chain(users).collect::<Vec<_>>() {
        let key = table.key("password");
        // A password from the environment is not in the file.
        if report.is_in_file(&key) {
            warn_if_public(report, &key, file);
        }
    }
    for key in coap_keys(config) {
        if report.is_in_file(&key) {
            warn_if_public(report, &key, file);
        }
    }
}

/// Pre-shared keys that stand in the configuration itself.
fn coap_keys(config: &Config) -> Vec<KeyPath> {
    let mut keys = Vec::new();
    for (name, coap) in &config.adapters.coap {
        let table = KeyPath::of("adapters.coap").key(name);
        let psk = coap.psk.iter().filter(|(_, psk)| psk.key.is_some() && psk.key_file.is_none());
        keys.extend(psk.map(|(identity, _)| table.key("psk").key(identity).key("key")));
        let servers = coap.servers.iter().filter(|(_, one)| one.key.is_some() && one.key_file.is_none());
        keys.extend(servers.map(|(host, _)| table.key("servers").key(host).key("key")));
    }
    keys
}
