//! The broker that a building's MQTT traffic goes to.

use gateway_core::settings::Secret;
use mqtt_link::{BrokerUrl, Options, Tls};

use super::Traffic;
use crate::cli::{Exit, Failure};

pub(super) fn options(args: &Traffic, target: &str) -> Result<Options, Failure> {
    let url = if target.contains("://") { target.to_owned() } else { format!("mqtt://{target}") };
    let url: BrokerUrl = url
        .parse()
        .map_err(|error| Failure::new(Exit::Usage, format!("--target: {}", gateway_core::chain(&error))))?;
    let mut options = Options::new(url, format!("riser-simulate-{}", std::process::id()));
    options.tls = Tls { ca_file: args.ca_file.clone(), ..Tls::default() };
    if let (Some(user), Some(file)) = (&args.username, &args.password_file) {
        let text = std::fs::read_to_string(file).map_err(|error| {
            Failure::new(Exit::NoInput, format!("cannot read {}: {error}", file.display()))
        })?;
        options.credentials =
            Some((user.clone(), Secret::new(text.trim_end_matches(['\r', '\n']).to_owned())));
    }
    Ok(options)
}
