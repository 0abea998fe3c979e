//! Files that a configuration names: paths start at its own folder, passwords are read into [`Secret`]s, certificates
//! are looked at. No file is read beyond a limit, and no finding shows a secret.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;

use crate::findings::{KeyPath, Report};
use crate::settings::Secret;
use crate::{Timestamp, Validity};

/// No password is longer; a larger file is something else.
const MAX_SECRET_BYTES: u64 = 4096;
/// No certificate chain is longer.
const MAX_PEM_BYTES: u64 = 4 << 20;

/// Reads the files that a table names.
pub struct Files<'a> {
    /// The folder of the configuration file.
    pub directory: &'a Path,
    /// `gateway.data_dir`.
    pub data_dir: &'a Path,
    /// Where problems are reported.
    pub report: &'a mut Report,
}

impl Files<'_> {
    /// Makes each path start at the configuration's folder; an absolute one stays as it is.
    pub fn resolve<const N: usize>(&self, paths: [&mut Option<PathBuf>; N]) {
        for path in paths.into_iter().flatten() {
            *path = self.directory.join(&path);
        }
    }

    /// Reads `password_file` of `table` into `password`. An empty password is an error.
    pub fn password(&mut self, table: &KeyPath, password: &mut Option<Secret>, file: &mut Option<PathBuf>) {
        let was_set = password.is_some();
        self.secret(table, "password", password, file);
        let is_empty = password.as_ref().is_some_and(|password| password.expose().is_empty());
        if let Some(file) = file.as_deref().filter(|_| is_empty && !was_set) {
            *password = None;
            let text = format!("{} is empty; write the password into it", file.display());
            self.report.error(&table.key("password_file"), text);
        }
    }

    /// Reads the text in `<name>_file` of `table`, less its last newline, into `secret`.
    pub fn secret(
        &mut self,
        table: &KeyPath,
        name: &str,
        secret: &mut Option<Secret>,
        file: &mut Option<PathBuf>,
    ) {
        self.secret_with(table, name, secret, file, |bytes| match String::from_utf8(bytes) {
            Ok(text) => Ok(Secret::new(without_newline(&text).to_owned())),
            Err(_) => Err("it is not UTF-8"),
        });
    }

    /// As [`Self::secret`], for files that hold any bytes: `make` turns them into the text of the secret.
    pub fn secret_with(
        &mut self,
        table: &KeyPath,
        name: &str,
        secret: &mut Option<Secret>,
        file: &mut Option<PathBuf>,
        make: impl FnOnce(Vec<u8>) -> Result<Secret, &'static str>,
    ) {
        self.resolve([&mut *file]);
        let Some(file) = file.as_deref() else { return };
        let key = table.key(&format!("{name}_file"));
        if secret.is_some() {
            self.report.error(&key, format!("there is `{name}` too; keep one of them"));
            return;
        }
        let made = read_bytes(file, MAX_SECRET_BYTES)
            .and_then(|bytes| make(bytes).map_err(|why| format!("cannot read {}: {why}", file.display())));
        match made {
            Ok(made) => *secret = Some(made),
            Err(why) => self.report.error(&key, why),
        }
        warn_if_public(self.report, &key, file);
    }
}

fn without_newline(text: &str) -> &str {
    let text = text.strip_suffix('\n').unwrap_or(text);
    text.strip_suffix('\r').unwrap_or(text)
}

/// Reports a `cert_file` and `key_file` of `table` that do not go together, cannot be read, hold no PEM, or are not
/// valid at `now`.
pub fn check_pair(
    report: &mut Report,
    table: &KeyPath,
    cert: Option<&Path>,
    key: Option<&Path>,
    now: Timestamp,
) {
    match (cert, key) {
        (Some(_), None) => report.error(&table.key("cert_file"), "has no `key_file` beside it"),
        (None, Some(_)) => report.error(&table.key("key_file"), "has no `cert_file` beside it"),
        _ => {}
    }
    if let Some(file) = cert {
        match check_pem(file, "CERTIFICATE") {
            Err(why) => report.error(&table.key("cert_file"), why),
            Ok(()) => check_validity(report, &table.key("cert_file"), file, now),
        }
    }
    if let Some(file) = key {
        match check_pem(file, "PRIVATE KEY") {
            Err(why) => report.error(&table.key("key_file"), why),
            Ok(()) => warn_if_public(report, &table.key("key_file"), file),
        }
    }
}

/// Reports a `ca_file` of `table` that holds no certificate.
pub fn check_ca(report: &mut Report, table: &KeyPath, file: Option<&Path>) {
    if let Some(Err(why)) = file.map(|file| check_pem(file, "CERTIFICATE")) {
        report.error(&table.key("ca_file"), why);
    }
}

/// Warns of certificates that are not valid now. It is no error: the clock may be wrong, and a gateway that did not
/// start would not be there when it is set.
fn check_validity(report: &mut Report, key: &KeyPath, file: &Path, now: Timestamp) {
    let (path, clock) = (file.display(), format!("this machine's clock says {now}"));
    let validities = validities(file);
    if let Some(validity) = validities.iter().find(|validity| now < validity.from) {
        report.warning(key, format!("{path} is not valid before {}, and {clock}; is it set?", validity.from));
    }
    if let Some(validity) = validities.iter().find(|validity| now > validity.until) {
        let until = validity.until;
        report
            .warning(key, format!("{path} was valid until {until}, and {clock}; renew it, or set the clock"));
    }
}

/// The validity of each certificate in a PEM file. An invalid one fails with an error when it is used.
fn validities(file: &Path) -> Vec<Validity> {
    let certificates = CertificateDer::pem_file_iter(file).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    certificates.unwrap_or_default().iter().filter_map(|certificate| Validity::of(certificate)).collect()
}

/// Whether `file` is PEM with a `what` (`CERTIFICATE`, `PRIVATE KEY`) in it.
fn check_pem(file: &Path, what: &str) -> Result<(), String> {
    let text = read_text(file, MAX_PEM_BYTES)?;
    let found = text.lines().any(|line| line.starts_with("-----BEGIN ") && line.contains(what));
    if found { Ok(()) } else { Err(format!("{} holds no PEM {}", file.display(), what.to_lowercase())) }
}

/// Warns where everybody on the machine can read a file that holds a secret.
pub fn warn_if_public(report: &mut Report, key: &KeyPath, file: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = file.metadata().map_or(0, |metadata| metadata.permissions().mode());
    if mode & 0o004 != 0 {
        let path = file.display();
        report.warning(key, format!("everyone on this machine can read {path}; run: chmod o-rwx {path}"));
    }
}

/// The text of a file of at most `limit` bytes.
///
/// # Errors
/// A text for the user if the file cannot be read.
pub fn read_text(file: &Path, limit: u64) -> Result<String, String> {
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
