//! The gateway that a building's CoAP traffic goes to.

use std::path::Path;

use adapters::coap::key::{from_file, read};
use simulator::coap::{Key, Psk, Target};

use super::{Protocol, Traffic, traffic};
use crate::cli::{Exit, Failure};

pub(super) async fn target(args: &Traffic, target: &str) -> Result<Target, Failure> {
    let (scheme, port) =
        if matches!(args.protocol, Protocol::Coaps) { ("coaps", 5684) } else { ("coap", 5683) };
    let address = traffic::address(target, scheme, port, scheme).await?;
    let psk = match (&args.psk_identity, &args.psk_file) {
        (Some(identity), Some(file)) => Some(Psk { identity: identity.clone(), key: key(file)? }),
        _ => None,
    };
    Ok(Target { address, psk })
}

/// A key file as the gateway reads it.
fn key(file: &Path) -> Result<Key, Failure> {
    let bytes = std::fs::read(file)
        .map_err(|error| Failure::new(Exit::NoInput, format!("cannot read {}: {error}", file.display())))?;
    let (key, _) = read(&from_file(&bytes)).map_err(|error| {
        let error = gateway_core::chain(&error);
        Failure::new(Exit::Usage, format!("--psk-file {}: {error}", file.display()))
    })?;
    Ok(key)
}
