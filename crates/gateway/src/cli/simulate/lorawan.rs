//! The gateway that a building's LoRaWAN traffic goes to, and what it has to know of the devices.

use std::io::Write as _;

use simulator::Building;
use simulator::lorawan::{Activation, Region, Registration, Target, registrations};

use super::{Args, Traffic, traffic};
use crate::cli::{Exit, Failure};

pub(super) async fn target(args: &Args, target: &str) -> Result<Target, Failure> {
    let address = traffic::address(target, "udp", 1700, "lorawan").await?;
    let traffic = &args.traffic;
    Ok(Target {
        address,
        region: traffic.region.unwrap_or(Region::Eu868),
        activation: activation(traffic),
        confirmed: traffic.confirmed,
        seed: args.seed,
    })
}

fn activation(traffic: &Traffic) -> Activation {
    if traffic.abp { Activation::Abp } else { Activation::Otaa }
}

pub(super) fn print_config(args: &Args, building: &Building) -> Result<Exit, Failure> {
    let devices = registrations(building, args.seed).map_err(|error| traffic::failure(&error))?;
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    let activation = activation(&args.traffic);
    writeln!(out, "# Simulated devices: everybody can make these keys.")
        .and_then(|()| devices.iter().try_for_each(|device| writeln!(out, "\n{}", table(device, activation))))
        .and_then(|()| out.flush())
        .map_err(|error| Failure::stdout(&error))?;
    Ok(Exit::Fine)
}

/// `[devices.*]` of one. No name, zone or metric of the simulator has a character that TOML would take for its own.
fn table(device: &Registration, activation: Activation) -> String {
    let Registration { name, zone, identity, codec, rename } = device;
    let rename: Vec<_> = rename.iter().map(|(codec, name)| format!("{codec} = \"{name}\"")).collect();
    let rename =
        if rename.is_empty() { String::new() } else { format!("rename = {{ {} }}\n", rename.join(", ")) };
    let dev_eui = identity.dev_eui();
    let keys = match activation {
        Activation::Otaa => {
            format!("join_eui = \"{}\", app_key = \"{}\"", identity.join_eui(), identity.app_key())
        }
        // A simulated device starts at 0 each time.
        Activation::Abp => format!(
            "dev_addr = \"{}\", nwk_skey = \"{}\", app_skey = \"{}\", resets = true",
            identity.dev_addr(),
            identity.nwk_skey(),
            identity.app_skey()
        ),
    };
    format!(
        "[devices.{name}]\nzone = \"{zone}\"\ncodec = \"{codec}\"\n{rename}lorawan = {{ dev_eui = \"{dev_eui}\", {keys} }}"
    )
}
