//! `[adapters.coap.*]`.

use adapters::coap::Coap;
use adapters::coap::config::CoapConfig;

use super::*;

fn coap(loaded: &Loaded) -> &CoapConfig {
    &loaded.config.adapters.of::<Coap>().unwrap().adapters["lan"]
}

const KEY: &str = "key = \"hex:000102030405060708090a0b0c0d0e0f\"";

#[test]
fn a_table_with_nothing_in_it_listens_on_loopback() {
    let loaded = load("[adapters.coap.lan]\n", &[]).unwrap();
    assert_eq!(loaded.warnings.to_string(), "");
    assert_eq!(coap(&loaded).listen(), "127.0.0.1:5683".parse().ok());
    let text = format!(
        "[adapters.coap.lan]\nlisten_dtls = \"127.0.0.1:5684\"\npsk = {{ a = {{ {KEY}, devices = [\"a\"] }} }}\n"
    );
    let loaded = load(&text, &[]).unwrap();
    assert_eq!((loaded.warnings.to_string(), coap(&loaded).listen()), (String::new(), None));
}

#[test]
fn dtls_and_keys_need_each_other() {
    finds(
        "[adapters.coap.lan]\nlisten_dtls = \"127.0.0.1:5684\"\n",
        &[
            "gateway.toml:2:1: error: adapters.coap.lan.listen_dtls: needs `psk`: who may open a session, such as psk = { sensor01 = { key_file = \"sensor01.psk\", devices = [\"sensor01\"] } }",
        ],
    );
    finds(
        &format!("[adapters.coap.lan.psk.a]\n{KEY}\ndevices = [\"a\"]\n"),
        &[
            "gateway.toml:1:20: error: adapters.coap.lan.psk: is not used: there is no `listen_dtls`; write it, such as \"0.0.0.0:5684\"",
        ],
    );
}

#[test]
fn an_identity_needs_a_good_key_and_devices() {
    let psk = |lines: &str| {
        format!("[adapters.coap.lan]\nlisten_dtls = \"127.0.0.1:5684\"\n[adapters.coap.lan.psk.a]\n{lines}\n")
    };
    finds(
        &psk("devices = [\"a\"]"),
        &["gateway.toml:3:24: error: adapters.coap.lan.psk.a.key_file: missing; write key_file, or key"],
    );
    finds(
        &psk("key = \"short\"\ndevices = [\"a\"]"),
        &[
            "gateway.toml:4:1: warning: adapters.coap.lan.psk.a.key: the key has 5 bytes and can be guessed; make one with: openssl rand -hex 16, and write hex: before it",
        ],
    );
    finds(
        &psk("key = \"hex:0\"\ndevices = [\"a\"]"),
        &[
            "gateway.toml:4:1: error: adapters.coap.lan.psk.a.key: after hex: an even number of hexadecimal digits is wanted",
        ],
    );
    finds(
        &psk(KEY),
        &[
            "gateway.toml:3:24: warning: adapters.coap.lan.psk.a: may report and read nothing: write its `devices`, such as [\"sensor01\"]",
        ],
    );
    let twice = findings(&psk(&format!("{KEY}\ndevices = [\"a\"]\n[adapters.coap.lan.psk.a]\n{KEY}")), &[]);
    assert!(twice[0].contains("duplicate"), "{twice:?}");
    let missing = findings(&psk("key_file = \"nowhere.psk\"\ndevices = [\"a\"]"), &[]);
    assert!(missing[0].contains("psk.a.key_file: cannot read nowhere.psk"), "{missing:?}");
}

#[test]
fn key_files_may_hold_any_bytes() {
    use std::os::unix::fs::PermissionsExt as _;
    let directory = tempfile::tempdir().unwrap();
    let key = directory.path().join("a.psk");
    std::fs::write(&key, b"\xff\x00sixteen bytes!\n").unwrap();
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).unwrap();
    let text = "[adapters.coap.lan]\nlisten_dtls = \"127.0.0.1:5684\"\npsk = { a = { key_file = \"a.psk\", devices = [\"a\"] } }\n";
    let loaded = load_at(&directory.path().join("gateway.toml"), text, &[]).unwrap();
    assert_eq!(loaded.warnings.to_string(), "");
    let text = coap(&loaded).psk["a"].key.clone().unwrap();
    assert!(text.expose().starts_with("hex:ff00"));
    assert!(!format!("{:?}", loaded.config).contains("ff00"));
}

#[test]
fn listeners_have_ports_of_their_own_and_open_ones_are_told() {
    finds(
        "[adapters.coap.a]\nlisten = \"127.0.0.1:5683\"\n[adapters.coap.b]\n",
        &[
            "gateway.toml:3:16: error: adapters.coap.b: 127.0.0.1:5683 clashes with adapters.coap.a.listen, 127.0.0.1:5683; give each its own port",
        ],
    );
    finds(
        "[adapters.coap.a]\nlisten = \"0.0.0.0:5683\"\nmax_size = \"1MiB\"\n",
        &[
            "gateway.toml:2:1: warning: adapters.coap.a.listen: any host that reaches 0.0.0.0:5683 may report and read every device; listen_dtls lets only holders of keys do so",
            "gateway.toml:3:1: error: adapters.coap.a.max_size: is out of range; allowed: from \"1B\" to \"256KiB\"",
        ],
    );
}
