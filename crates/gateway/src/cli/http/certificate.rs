//! A certificate of our own (ECDSA P-256), for the names and addresses of this machine.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket};
use std::path::{Path, PathBuf};

use gateway_core::ports::Clock as _;
use pipeline::clock::SystemClock;
use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair};
use sha2::{Digest as _, Sha256};

use super::files::{self, PUBLIC, SECRET};
use crate::cli::{Exit, Failure, print_line};

/// Apple's systems refuse more than 825 days.
const VALID_DAYS: i64 = 800;

/// Where a certificate is, and how people recognise it.
pub(super) struct Made {
    pub(super) cert_file: PathBuf,
    pub(super) key_file: PathBuf,
    /// SHA-256, as browsers show it.
    pub(super) fingerprint: String,
}

pub(super) fn certificate(names: &[String], output: &Path, force: bool) -> Result<Exit, Failure> {
    let (cert_file, key_file) = paths(output);
    if let Some(there) = [&cert_file, &key_file].into_iter().find(|file| file.exists() && !force) {
        let why = format!("{} is there; --force replaces it", there.display());
        return Err(Failure::new(Exit::CannotCreate, why));
    }
    let made = make(names, output, None)?;
    print_line(&format!(
        "certificate: {}\nkey:         {}",
        made.cert_file.display(),
        made.key_file.display()
    ))?;
    print_line(&format!("SHA-256:     {}", made.fingerprint))?;
    print_line("\n[http]\ncert_file = \"http.pem\"\nkey_file = \"http.key\"")?;
    Ok(Exit::Fine)
}

pub(super) fn paths(folder: &Path) -> (PathBuf, PathBuf) {
    (folder.join("http.pem"), folder.join("http.key"))
}

/// Makes a certificate with its key in `folder`.
pub(super) fn make(names: &[String], folder: &Path, like: Option<&Path>) -> Result<Made, Failure> {
    let (cert_file, key_file) = paths(folder);
    let (certificate, key, fingerprint) = generate(names)
        .map_err(|error| Failure::new(Exit::Software, format!("cannot make a certificate: {error}")))?;
    files::write(&key_file, &key, SECRET, like)?;
    files::write(&cert_file, &certificate, PUBLIC, like)?;
    Ok(Made { cert_file, key_file, fingerprint })
}

fn generate(more: &[String]) -> Result<(String, String, String), rcgen::Error> {
    let host = host();
    let mut names = vec![host.clone(), format!("{host}.local"), "localhost".to_owned()];
    names.extend(addresses().iter().map(ToString::to_string));
    names.extend(more.iter().cloned());
    names.sort();
    names.dedup();
    let mut params = CertificateParams::new(names)?;
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, format!("Riser on {host}"));
    // Whole days are enough, and clocks differ.
    if let Ok(today) = jiff::Timestamp::from_millisecond(SystemClock.now().as_millis()) {
        let day = |days: i64| {
            let date =
                today.to_zoned(jiff::tz::TimeZone::UTC).date().saturating_add(jiff::Span::new().days(days));
            rcgen::date_time_ymd(date.year().into(), date.month().unsigned_abs(), date.day().unsigned_abs())
        };
        (params.not_before, params.not_after) = (day(-1), day(VALID_DAYS));
    }
    let key = KeyPair::generate()?;
    let certificate = params.self_signed(&key)?;
    let digest = Sha256::digest(certificate.der());
    let fingerprint: Vec<String> = digest.iter().map(|byte| format!("{byte:02X}")).collect();
    Ok((certificate.pem(), key.serialize_pem(), fingerprint.join(":")))
}

/// The host's name.
pub(super) fn host() -> String {
    let host = rustix::system::uname().nodename().to_string_lossy().to_lowercase();
    if host.is_empty() { "riser".to_owned() } else { host }
}

/// This machine's addresses: loopback, and those that it would send from to other networks. Nothing is sent.
pub(super) fn addresses() -> Vec<IpAddr> {
    let of = |from: IpAddr, to: IpAddr| {
        let socket = UdpSocket::bind((from, 0)).ok()?;
        socket.connect((to, 9)).ok()?;
        Some(socket.local_addr().ok()?.ip())
    };
    // Addresses for documentation (RFC 5737, RFC 3849): no network has them, so the default route is taken.
    let v4 = of(Ipv4Addr::UNSPECIFIED.into(), Ipv4Addr::new(192, 0, 2, 1).into());
    let v6 = of(Ipv6Addr::UNSPECIFIED.into(), Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1).into());
    let mut all = vec![IpAddr::from(Ipv4Addr::LOCALHOST), IpAddr::from(Ipv6Addr::LOCALHOST)];
    all.extend(v4.into_iter().chain(v6).filter(|address| !address.is_loopback()));
    all
}
