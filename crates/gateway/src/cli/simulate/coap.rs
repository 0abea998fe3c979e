//! The gateway that a building's CoAP traffic goes to.

use std::net::SocketAddr;
use std::path::Path;

use adapters::coap::key::{from_file, read};
use simulator::coap::{Key, Psk, Target};

use super::{Protocol, Traffic};
use crate::cli::{Exit, Failure};

pub(super) async fn target(args: &Traffic, target: &str) -> Result<Target, Failure> {
    let (scheme, port) =
        if matches!(args.protocol, Protocol::Coaps) { ("coaps", 5684) } else { ("coap", 5683) };
    let address = address(target, scheme, port).await?;
    let psk = match (&args.psk_identity, &args.psk_file) {
        (Some(identity), Some(file)) => Some(Psk { identity: identity.clone(), key: key(file)? }),
        _ => None,
    };
    Ok(Target { address, psk })
}

/// HOST or HOST:PORT, also behind `scheme://`.
async fn address(target: &str, scheme: &str, port: u16) -> Result<SocketAddr, Failure> {
    let usage = |what: &str| Failure::new(Exit::Usage, format!("--target: {what}"));
    let authority = match target.split_once("://") {
        None => target,
        Some((given, rest)) if given.eq_ignore_ascii_case(scheme) => rest.trim_end_matches('/'),
        Some((given, _)) => return Err(usage(&format!("{given}:// is not what --protocol {scheme} speaks"))),
    };
    if authority.is_empty() || authority.contains('/') {
        return Err(usage(&format!("`{target}` is not HOST:PORT; the path is the devices' own")));
    }
    let has_port =
        authority.rsplit_once(':').is_some_and(|(host, _)| !host.contains(':') || host.ends_with(']'));
    let authority = if has_port { authority.to_owned() } else { format!("{authority}:{port}") };
    let found = tokio::net::lookup_host(&authority).await;
    let mut found = found.map_err(|error| {
        Failure::new(Exit::Unavailable, format!("cannot find the address of {authority}: {error}"))
    })?;
    found.next().ok_or_else(|| Failure::new(Exit::Unavailable, format!("{authority} has no address")))
}

/// A key file as the gateway reads it.
fn key(file: &Path) -> Result<Key, Failure> {
    let bytes = std::fs::read(file)
        .map_err(|error| Failure::new(Exit::NoInput, format!("cannot read {}: {error}", file.display())))?;
    let (key, _) = read(&from_file(&bytes)).map_err(|error| {
        let error = crate::telemetry::chain(&error);
        Failure::new(Exit::Usage, format!("--psk-file {}: {error}", file.display()))
    })?;
    Ok(key)
}
