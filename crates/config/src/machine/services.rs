//! What the system around the gateway says to every user: whether its time service has set the clock, and
//! whether a firewall stands before the listeners. What only root may read (the firewall's rules) is not guessed.

use std::path::Path;

use crate::load::Loaded;
use gateway_core::findings::{KeyPath, Report};

/// systemd-timesyncd makes the folder when it starts, and the file once it has set the clock
/// (systemd-timesyncd.service(8)). Where another service keeps the time, neither is there, and nothing is known.
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
    let ports: Vec<String> = loaded
        .config
        .listeners()
        .iter()
        .filter(|listener| !listener.address.ip().is_loopback())
        .map(|listener| format!("{} {}", listener.transport, listener.address.port()))
        .collect();
    let Some(firewall) = firewall(root).filter(|_| !ports.is_empty()) else { return };
    report.warning(
        &KeyPath::root(),
        format!(
            "{firewall} is switched on, and only root can read whether it lets devices in; they need {}",
            ports.join(", ")
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

#[cfg(test)]
#[path = "services_tests.rs"]
mod tests;
