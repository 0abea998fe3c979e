//! Files that the configuration names: paths are taken from its own directory, passwords are read into [`Secret`]s.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use adapters::lorawan::config::LorawanDevice;
use gateway_core::settings::Secret;

use super::key_path::KeyPath;
use super::model::Config;
use super::report::Report;

/// No password is longer; a larger file is something else.
const MAX_PASSWORD_BYTES: u64 = 4096;
/// No certificate chain is longer.
const MAX_PEM_BYTES: u64 = 4 << 20;

/// Makes every path in `config` one from `directory`, and every `password_file` a `password`.
pub(crate) fn resolve(report: &mut Report, config: &mut Config, directory: &Path) {
    config.gateway.data_dir = directory.join(&config.gateway.data_dir);
    if let Some(upstream) = &mut config.upstream {
        let table = KeyPath::of("upstream");
        place(directory, [&mut upstream.ca_file, &mut upstream.cert_file, &mut upstream.key_file]);
        place(directory, [&mut upstream.password_file]);
        password(report, &table, &mut upstream.password, upstream.password_file.as_deref());
    }
    for (name, adapter) in &mut config.adapters.mqtt {
        let table = KeyPath::of("adapters.mqtt").key(name);
        place(directory, [&mut adapter.ca_file, &mut adapter.cert_file, &mut adapter.key_file]);
        place(directory, [&mut adapter.password_file]);
        password(report, &table, &mut adapter.password, adapter.password_file.as_deref());
    }
    for (name, adapter) in &mut config.adapters.coap {
        let table = KeyPath::of("adapters.coap").key(name);
        for (identity, psk) in &mut adapter.psk {
            place(directory, [&mut psk.key_file]);
            key(report, &table.key("psk").key(identity), &mut psk.key, psk.key_file.as_deref());
        }
        for (host, server) in &mut adapter.servers {
            place(directory, [&mut server.key_file]);
            key(report, &table.key("servers").key(host), &mut server.key, server.key_file.as_deref());
        }
    }
    let of_devices = config.devices.values_mut().filter_map(|device| device.codec.as_mut());
    let connected = config.adapters.ble.values_mut().flat_map(|ble| ble.connect.iter_mut());
    for codec in of_devices.chain(connected.flat_map(|connect| connect.codecs.values_mut())) {
        if codecs::Codec::is_file(codec) {
            *codec = directory.join(&*codec).display().to_string();
        }
    }
    for (name, device) in &mut config.devices {
        let table = KeyPath::of("devices").key(name);
        place(directory, [&mut device.bindkey_file]);
        let file = device.bindkey_file.as_deref();
        text_key(report, &table, "bindkey", &mut device.bindkey, file);
        let Some(lorawan) = &mut device.lorawan else { continue };
        lorawan_keys(report, &table.key("lorawan"), lorawan, directory);
    }
    if let Some(broker) = &mut config.broker {
        place(directory, [&mut broker.ca_file, &mut broker.cert_file, &mut broker.key_file]);
        for (name, user) in &mut broker.users {
            let table = KeyPath::of("broker.users").key(name);
            place(directory, [&mut user.password_file]);
            password(report, &table, &mut user.password, user.password_file.as_deref());
        }
    }
}

fn place<const N: usize>(directory: &Path, paths: [&mut Option<PathBuf>; N]) {
    for path in paths.into_iter().flatten() {
        // An absolute path stays as it is.
        *path = directory.join(&path);
    }
}

fn password(report: &mut Report, table: &KeyPath, password: &mut Option<Secret>, file: Option<&Path>) {
    let Some(file) = file else { return };
    let key = table.key("password_file");
    if password.is_some() {
        report.error(&key, "there is `password` too; keep one of them");
        return;
    }
    match read_text(file, MAX_PASSWORD_BYTES) {
        Ok(text) if without_newline(&text).is_empty() => {
            report.error(&key, format!("{} is empty; write the password into it", file.display()));
        }
        Ok(text) => *password = Some(Secret::new(without_newline(&text).to_owned())),
        Err(why) => report.error(&key, why),
    }
    warn_if_public(report, &key, file);
}

/// As [`password`], for a pre-shared key, which may hold any bytes.
fn key(report: &mut Report, table: &KeyPath, key: &mut Option<Secret>, file: Option<&Path>) {
    let Some(file) = file else { return };
    let place = table.key("key_file");
    if key.is_some() {
        report.error(&place, "there is `key` too; keep one of them");
        return;
    }
    match read_bytes(file, MAX_PASSWORD_BYTES) {
        Ok(bytes) => *key = Some(adapters::coap::key::from_file(&bytes)),
        Err(why) => report.error(&place, why),
    }
    warn_if_public(report, &place, file);
}

/// As [`password`], for a LoRaWAN device's keys.
fn lorawan_keys(report: &mut Report, table: &KeyPath, lorawan: &mut LorawanDevice, directory: &Path) {
    let keys = [
        ("app_key", &mut lorawan.app_key, &mut lorawan.app_key_file),
        ("nwk_skey", &mut lorawan.nwk_skey, &mut lorawan.nwk_skey_file),
        ("app_skey", &mut lorawan.app_skey, &mut lorawan.app_skey_file),
    ];
    for (name, key, path) in keys {
        place(directory, [&mut *path]);
        text_key(report, table, name, key, path.as_deref());
    }
}

/// As [`password`], for a key in digits: `<name>_file` where it is no `<name>`.
fn text_key(report: &mut Report, table: &KeyPath, name: &str, key: &mut Option<Secret>, file: Option<&Path>) {
    let Some(file) = file else { return };
    let entry = table.key(&format!("{name}_file"));
    if key.is_some() {
        report.error(&entry, format!("there is `{name}` too; keep one of them"));
        return;
    }
    match read_text(file, MAX_PASSWORD_BYTES) {
        Ok(text) => *key = Some(Secret::new(without_newline(&text).to_owned())),
        Err(why) => report.error(&entry, why),
    }
    warn_if_public(report, &entry, file);
}

fn without_newline(text: &str) -> &str {
    let text = text.strip_suffix('\n').unwrap_or(text);
    text.strip_suffix('\r').unwrap_or(text)
}

/// Whether `file` is PEM with a `what` (`CERTIFICATE`, `PRIVATE KEY`) in it.
pub(crate) fn check_pem(file: &Path, what: &str) -> Result<(), String> {
    let text = read_text(file, MAX_PEM_BYTES)?;
    let found = text.lines().any(|line| line.starts_with("-----BEGIN ") && line.contains(what));
    if found { Ok(()) } else { Err(format!("{} holds no PEM {}", file.display(), what.to_lowercase())) }
}

/// A warning where everybody on the machine can read a secret.
pub(crate) fn warn_if_public(report: &mut Report, key: &KeyPath, file: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = file.metadata().map_or(0, |metadata| metadata.permissions().mode());
    if mode & 0o004 != 0 {
        let path = file.display();
        report.warning(key, format!("everyone on this machine can read {path}; run: chmod o-rwx {path}"));
    }
}

/// The text of a file of at most `limit` bytes; or what to say of it.
pub(crate) fn read_text(file: &Path, limit: u64) -> Result<String, String> {
    let bytes = read_bytes(file, limit)?;
    String::from_utf8(bytes).map_err(|_| format!("cannot read {}: it is not UTF-8", file.display()))
}

fn read_bytes(file: &Path, limit: u64) -> Result<Vec<u8>, String> {
    let path = file.display();
    let mut bytes = Vec::new();
    // A directory or a pipe would fail late or wait for ever.
    let metadata = file.metadata().map_err(|error| format!("cannot read {path}: {error}"))?;
    if !metadata.is_file() {
        return Err(format!("cannot read {path}: not a file"));
    }
    let opened = File::open(file).map_err(|error| format!("cannot read {path}: {error}"))?;
    let mut limited = opened.take(limit.saturating_add(1));
    limited.read_to_end(&mut bytes).map_err(|error| format!("cannot read {path}: {error}"))?;
    if bytes.len() as u64 > limit {
        return Err(format!("{path} is larger than {limit} bytes"));
    }
    Ok(bytes)
}
