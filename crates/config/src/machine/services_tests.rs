use std::fs;
use std::os::unix::fs::symlink;

use super::super::tests::{findings_of, loaded};
use super::*;

#[test]
fn a_time_service_that_has_not_set_the_clock_is_told() {
    let root = tempfile::tempdir().unwrap();
    let warned = || findings_of(|report| probe_time_service(report, root.path()));
    assert!(warned().is_empty(), "another service may keep the time");
    fs::create_dir_all(root.path().join(TIME_SERVICE)).unwrap();
    assert_eq!(warned().len(), 1);
    fs::write(root.path().join(CLOCK_IS_SET), "").unwrap();
    assert!(warned().is_empty());
}

#[test]
fn a_firewall_before_doors_that_others_come_through_is_told_with_their_ports() {
    let root = tempfile::tempdir().unwrap();
    let file = |name: &str| root.path().join(name);
    let warned = |text: &str| findings_of(|report| probe_firewall(report, &loaded(text), root.path()));
    let open = "[broker]\nlisten = \"0.0.0.0:1883\"\nanonymous = true\n[adapters.coap.lan]\nlisten = \"[::]:5683\"\n";
    assert!(warned(open).is_empty(), "there is none");

    for unit in ["sysinit.target.wants", "multi-user.target.wants"] {
        fs::create_dir_all(file("etc/systemd/system").join(unit)).unwrap();
    }
    fs::create_dir_all(file("etc/ufw")).unwrap();
    fs::write(file("etc/ufw/ufw.conf"), "# on or off\nENABLED=no\n").unwrap();
    symlink("/nowhere", file(FIREWALLS[0].1)).unwrap();
    assert!(warned(open).is_empty(), "ufw is off");

    fs::write(file("etc/ufw/ufw.conf"), "# on or off\nENABLED=yes\n").unwrap();
    let line = "gateway.toml:1:1: warning: ufw is switched on, and only root can read whether it lets devices in; they \
                need TCP 1883, UDP 5683";
    assert_eq!(warned(open), [line]);
    assert!(warned("[broker]\nlisten = \"127.0.0.1:1883\"\n").is_empty(), "no client comes from outside");

    fs::remove_file(file(FIREWALLS[0].1)).unwrap();
    symlink("/nowhere", file(FIREWALLS[2].1)).unwrap();
    assert!(warned(open)[0].contains("nftables is switched on"));
}
