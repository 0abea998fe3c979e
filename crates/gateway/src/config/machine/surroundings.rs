//! What the system around the gateway says to everybody, root or not: whether its time service has set the clock, and
//! whether a firewall stands before the doors. What only root may read (the firewall's rules) is not guessed.

use std::net::SocketAddr;
use std::path::Path;

use super::super::check::{coap_listeners, listeners};
use super::super::key_path::KeyPath;
use super::super::load::Loaded;
use super::super::report::Report;

/// systemd-timesyncd makes the folder when it starts, and the file once it has set the clock
/// (systemd-timesyncd.service(8)). Where another service keeps the time, neither is there, and nothing can be told.
const TIME_SERVICE: &str = "run/systemd/timesync";
const CLOCK_IS_SET: &str = "run/systemd/timesync/synchronized";

/// A firewall's name, and what is there while it is switched on at boot.
const FIREWALLS: [(&str, &str); 3] = [
    ("ufw", "etc/systemd/system/multi-user.target.wants/ufw.service"),
    ("firewalld", "etc/systemd/system/multi-user.target.wants/firewalld.service"),
    ("nftables", "etc/systemd/system/sysinit.target.wants/nftables.service"),
];

/// `root` is where the system's files begin.
pub(super) fn probe_time_service(report: &mut Report, root: &Path) {
    if root.join(TIME_SERVICE).is_dir() && !root.join(CLOCK_IS_SET).exists() {
        report.warning(
            &KeyPath::root(),
            "the clock has not been set since this machine started: systemd-timesyncd has reached no time server; see \
             `timedatectl timesync-status`",
        );
    }
}

/// `root` is where the system's files begin.
pub(super) fn probe_firewall(report: &mut Report, loaded: &Loaded, root: &Path) {
    let doors: Vec<String> = doors(loaded)
        .into_iter()
        .filter(|(_, address)| !address.ip().is_loopback())
        .map(|(protocol, address)| format!("{protocol} {}", address.port()))
        .collect();
    let Some(firewall) = firewall(root).filter(|_| !doors.is_empty()) else { return };
    report.warning(
        &KeyPath::root(),
        format!(
            "{firewall} is switched on, and only root can read whether it lets devices in; they need {}",
            doors.join(", ")
        ),
    );
}

fn firewall(root: &Path) -> Option<&'static str> {
    let (name, _) = FIREWALLS.into_iter().find(|(name, unit)| {
        // ufw's unit is always switched on; its own file says whether it does anything.
        root.join(unit).symlink_metadata().is_ok() && (*name != "ufw" || ufw_is_enabled(root))
    })?;
    Some(name)
}

fn ufw_is_enabled(root: &Path) -> bool {
    let settings = std::fs::read_to_string(root.join("etc/ufw/ufw.conf")).unwrap_or_default();
    settings.lines().any(|line| line.trim() == "ENABLED=yes")
}

/// Where devices come in.
fn doors(loaded: &Loaded) -> Vec<(&'static str, SocketAddr)> {
    let (broker, adapters) = (&loaded.config.broker, &loaded.config.adapters);
    let mqtt = broker.iter().flat_map(listeners).map(|(_, address)| ("TCP", address));
    let coap = adapters.coap.values().flat_map(coap_listeners).map(|(_, address)| ("UDP", address));
    let lorawan = adapters.lorawan.values().map(|lorawan| ("UDP", lorawan.listen));
    mqtt.chain(coap).chain(lorawan).collect()
}

#[cfg(test)]
#[path = "surroundings_tests.rs"]
mod tests;
