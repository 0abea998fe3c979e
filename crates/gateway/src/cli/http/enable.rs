//! `riser http enable`: a password, a certificate, the keys of `[http]`, and a running gateway that takes them over.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use credentials::hash;
use gateway_core::ports::Clock as _;
use gateway_core::settings::Secret;
use pipeline::clock::SystemClock;
use pipeline::observe::live_socket::Question;
use toml_edit::{DocumentMut, Item, Table, value};

use super::certificate::{self, addresses, host};
use super::files::{self, SECRET};
use crate::cli::request::request_blocking;
use crate::cli::{ConfigArg, Exit, Failure, print_line};

/// No letters or digits that look alike.
const ALPHABET: &[u8; 31] = b"abcdefghjkmnpqrstuvwxyz23456789";
/// Characters of a password: 79 bits.
const LENGTH: usize = 16;
const GROUP: usize = 4;

pub(super) fn enable(config: &ConfigArg, listen: SocketAddr, new_password: bool) -> Result<Exit, Failure> {
    let loaded = crate::cli::run::load(config, true)?;
    let path = loaded.path.clone();
    let folder = path.parent().map_or_else(PathBuf::new, Path::to_owned);
    let http = loaded.config.http.unwrap_or_default();
    let text = std::fs::read_to_string(&path).map_err(|error| unreadable(&path, &error))?;
    let mut document: DocumentMut = text.parse().map_err(|error| unreadable(&path, &error))?;
    let table = table(&mut document).ok_or_else(|| Failure::new(Exit::Config, "http is no table"))?;
    table.insert("listen", value(listen.to_string()));
    let password = if http.password.is_none() || new_password {
        let password = password();
        let hash = hash(&password).map_err(|error| Failure::new(Exit::Software, error.to_string()))?;
        files::write(&folder.join("http.password"), &format!("{hash}\n"), SECRET, Some(&path))?;
        table.remove("password");
        table.insert("password_file", value("http.password"));
        Some(password)
    } else {
        None
    };
    let fingerprint = if http.cert_file.is_none() && !http.insecure {
        let made = certificate::make(&[], &folder, Some(&path))?;
        table.insert("cert_file", value("http.pem"));
        table.insert("key_file", value("http.key"));
        Some(made.fingerprint)
    } else {
        None
    };
    let text = document.to_string();
    let findings = gateway_config::check_text(&path, &text, SystemClock.now());
    if findings.has_errors() {
        print_line(findings.to_string().trim_end())?;
        let why = format!("{} stays as it is: with the page open it would have errors", path.display());
        return Err(Failure::new(Exit::Config, why));
    }
    let mode = std::os::unix::fs::PermissionsExt::mode(
        &path.metadata().map_err(|error| unreadable(&path, &error))?.permissions(),
    );
    files::write(&path, &text, mode & 0o777, Some(&path))?;
    let scheme = if http.insecure && http.cert_file.is_none() { "http" } else { "https" };
    report(scheme, listen, password.as_ref(), fingerprint.as_deref())?;
    reload(&loaded.config.gateway.data_dir)
}

fn unreadable(path: &Path, error: &dyn std::error::Error) -> Failure {
    Failure::new(Exit::NoInput, format!("cannot read {}: {error}", path.display()))
}

fn table(document: &mut DocumentMut) -> Option<&mut Table> {
    document.entry("http").or_insert_with(|| Item::Table(Table::new())).as_table_mut()
}

fn password() -> Secret {
    let character = |_| {
        let index = rand::random_range(0..ALPHABET.len());
        ALPHABET.get(index).copied().map_or('x', char::from)
    };
    let characters: Vec<char> = (0..LENGTH).map(character).collect();
    let groups: Vec<String> = characters.chunks(GROUP).map(|group| group.iter().collect()).collect();
    Secret::new(groups.join("-"))
}

/// The password is printed here, and never again.
fn report(
    scheme: &str,
    listen: SocketAddr,
    password: Option<&Secret>,
    fingerprint: Option<&str>,
) -> Result<(), Failure> {
    let port = listen.port();
    if listen.ip().is_unspecified() {
        print_line(&format!("address:     {scheme}://{}.local:{port}", host()))?;
        for address in addresses().into_iter().filter(|address| !address.is_loopback()) {
            print_line(&format!("             {scheme}://{}", SocketAddr::new(address, port)))?;
        }
    } else {
        print_line(&format!("address:     {scheme}://{listen}"))?;
    }
    match password {
        Some(password) => print_line(&format!("password:    {}", password.expose()))?,
        None => print_line("password:    the one that there was; --new-password makes another")?,
    }
    if let Some(fingerprint) = fingerprint {
        print_line(&format!("certificate: SHA-256 {fingerprint}"))?;
        print_line("             The browser warns once: go on if it shows the same.")?;
    }
    Ok(())
}

/// Has a running gateway read its configuration again.
fn reload(data_dir: &Path) -> Result<Exit, Failure> {
    let asked: Result<u32, Failure> = request_blocking(data_dir, &Question::Process);
    let process = asked.ok().and_then(|id| rustix::process::Pid::from_raw(i32::try_from(id).ok()?));
    match process.map(|process| rustix::process::kill_process(process, rustix::process::Signal::HUP)) {
        Some(Ok(())) => print_line("the running gateway takes it over now")?,
        _ => print_line("no gateway runs here: the page is there when it is started")?,
    }
    Ok(Exit::Fine)
}
