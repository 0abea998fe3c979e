//! `[adapters.coap.*]`: listeners that do not clash, and identities with a key and devices.

use codecs::MAX_PAYLOAD_BYTES;
use gateway_core::findings::{KeyPath, Report};
use gateway_core::listener::{Listener, Transport};
use gateway_core::settings::Secret;

use super::config::{CoapConfig, Psk};
use super::{check_client, key};

/// The longest identity that DTLS carries here, in bytes.
const LONGEST_IDENTITY: usize = 256;

pub(super) fn check(report: &mut Report, table: &KeyPath, coap: &CoapConfig) {
    check_listeners(report, table, coap);
    for (identity, psk) in &coap.psk {
        check_psk(report, &table.key("psk").key(identity), identity, psk);
    }
    check_client::check(report, table, coap);
    let largest = coap.max_size.0;
    if largest == 0 || largest > MAX_PAYLOAD_BYTES as u64 {
        report.error(&table.key("max_size"), "is out of range; allowed: from \"1B\" to \"256KiB\"");
    }
}

/// The addresses that it listens on, each with its key; a default address with its table.
pub(super) fn listeners(coap: &CoapConfig, table: &KeyPath) -> Vec<Listener> {
    let key = if coap.listen.is_some() { table.key("listen") } else { table.clone() };
    let addresses = [(key, coap.listen()), (table.key("listen_dtls"), coap.listen_dtls)];
    let listener = |(key, address): (KeyPath, Option<_>)| {
        Some(Listener { key, transport: Transport::Udp, address: address? })
    };
    addresses.into_iter().filter_map(listener).collect()
}

fn check_listeners(report: &mut Report, table: &KeyPath, coap: &CoapConfig) {
    let no_keys = coap.psk.is_empty() && report.is_whole(&table.key("psk"));
    if coap.listen_dtls.is_some() && no_keys {
        report.error(
            &table.key("listen_dtls"),
            "needs `psk`: who may open a session, such as psk = { sensor01 = { key_file = \"sensor01.psk\", devices = [\"sensor01\"] } }",
        );
    }
    if coap.listen_dtls.is_none() && !coap.psk.is_empty() {
        report.error(
            &table.key("psk"),
            "is not used: there is no `listen_dtls`; write it, such as \"0.0.0.0:5684\"",
        );
    }
    if let Some(address) = coap.listen.filter(|address| !address.ip().is_loopback()) {
        report.warning(
            &table.key("listen"),
            format!(
                "any host that reaches {address} may report and read every device; listen_dtls lets only holders of keys do so"
            ),
        );
    }
}

fn check_psk(report: &mut Report, table: &KeyPath, identity: &str, psk: &Psk) {
    check_identity(report, table, identity);
    check_key(report, table, psk.key.as_ref(), psk.key_file.is_some());
    if psk.devices.is_empty() && report.is_whole(&table.key("devices")) {
        report.warning(table, "may report and read nothing: write its `devices`, such as [\"sensor01\"]");
    }
}

/// Whether DTLS can carry `identity`; `key` is where it stands.
pub(super) fn check_identity(report: &mut Report, key: &KeyPath, identity: &str) {
    if identity.is_empty() || identity.len() > LONGEST_IDENTITY {
        report.error(key, format!("the identity must have 1 to {LONGEST_IDENTITY} bytes"));
    }
}

/// The `key` or `key_file` of `table`.
pub(super) fn check_key(report: &mut Report, table: &KeyPath, secret: Option<&Secret>, in_file: bool) {
    let place = table.key(if in_file { "key_file" } else { "key" });
    match secret.map(key::read) {
        Some(Ok((_, length))) if length < key::SHORT_KEY => report.warning(
            &place,
            format!("the key has {length} bytes and can be guessed; make one with: openssl rand -hex 16, and write hex: before it"),
        ),
        Some(Err(error)) => report.error(&place, gateway_core::chain(&error)),
        None if !in_file => {
            report.missing(table, "key_file", "missing; write key_file, or key");
        }
        Some(Ok(_)) | None => {}
    }
}
