//! What comes from outside the file: password files, the environment, flags.

use super::*;

#[test]
fn no_finding_shows_a_secret() {
    let text = "[upstream]\nurl = \"mqtt://localhost\"\nusername = \"u\"\npassword = [\"hunter2\"]\n\
                [broker.users.a]\npassword_hash = \"$argon2id$hunter2\"\n[broker.users.b]\npassword_hash = \"hunter2\"\n";
    let found = findings(text, &[("RISER__BROKER__USERS__A__PASSWORD", "hunter2")]);
    assert!(found.len() >= 3, "{found:?}");
    assert!(!found.join("\n").contains("hunter2"), "{found:#?}");
    let loaded =
        load("[upstream]\nurl = \"mqtt://h\"\nusername = \"u\"\npassword = \"hunter2\"\n", &[]).unwrap();
    assert!(!format!("{loaded:?}").contains("hunter2"));
    assert_eq!(loaded.config.upstream.unwrap().password.unwrap().expose(), "hunter2");
}

#[test]
fn reads_password_files_beside_the_file_and_warns_where_all_can() {
    use std::os::unix::fs::PermissionsExt as _;
    let directory = tempfile::tempdir().unwrap();
    let password = directory.path().join("up.password");
    std::fs::write(&password, "s3cret\n").unwrap();
    std::fs::set_permissions(&password, std::fs::Permissions::from_mode(0o640)).unwrap();
    let text = "[upstream]\nurl = \"mqtt://h\"\nusername = \"u\"\npassword_file = \"up.password\"\n";
    let file = directory.path().join("gateway.toml");
    let loaded = load_at(&file, text, &[]).unwrap();
    assert_eq!(loaded.config.upstream.unwrap().password.unwrap().expose(), "s3cret");
    assert_eq!(loaded.warnings.to_string(), "");
    std::fs::set_permissions(&password, std::fs::Permissions::from_mode(0o644)).unwrap();
    let warnings: Vec<_> = load_at(&file, text, &[]).unwrap().warnings.warnings().collect();
    assert!(
        warnings[0].contains("upstream.password_file: everyone on this machine can read"),
        "{warnings:?}"
    );
}

#[test]
fn the_environment_overrides_keys_with_their_types() {
    let environment = [
        ("RISER__AGGREGATE__BY_ZONE", "true"),
        ("RISER__AGGREGATE__PERCENTILES", "[50, 95.5]"),
        ("RISER__AGGREGATE__WINDOW", "1m"),
        ("RISER__GATEWAY__MAX_DEVICES", "12"),
        ("RISER__ANOMALY__THRESHOLD", "1"),
        ("RISER__UPSTREAM__URL", "mqtt://cloud:1883"),
        ("RISER__UPSTREAM__PROTOCOL", "3.1.1"),
        ("RISER__ADAPTERS__MQTT__ROOF_2__URL", "mqtt://roof"),
        ("RISER_CONFIG", "elsewhere"),
    ];
    let text = "[gateway]\nmax_devices = 5\n[adapters.mqtt.Roof-2]\nurl = \"mqtt://old\"\n\
                topics = [{ filter = \"a/{device}\", format = \"json\" }]\n";
    let config = load(text, &environment).unwrap().config;
    assert!(config.aggregate.by_zone);
    assert_eq!(config.aggregate.percentiles, [50.0, 95.5]);
    assert_eq!(config.aggregate.window.to_string(), "1m");
    assert_eq!(config.gateway.max_devices, 12);
    assert_eq!(config.anomaly.threshold, 1.0);
    let mqtt = &config.adapters.of::<adapters::mqtt::Mqtt>().unwrap().adapters;
    let upstream = config.upstream.as_ref().unwrap();
    assert_eq!(upstream.url, "mqtt://cloud:1883");
    assert_eq!(format!("{:?}", upstream.protocol), "V311");
    assert_eq!(mqtt["Roof-2"].url.as_deref(), Some("mqtt://roof"));
    assert_eq!(mqtt["Roof-2"].topics.len(), 1);
    assert_eq!(mqtt.len(), 1);
}

#[test]
fn mistakes_in_the_environment_name_the_variable() {
    let found = findings(
        "[devices.a-b]\n[devices.a_b]\n",
        &[
            ("RISER__AGGREGATE__WINDOW", "5"),
            ("RISER__AGGREGATE__PERCENTILES", "50, 95"),
            ("RISER__DEVICES__A_B__ZONE", "hall"),
            ("RISER__UPSTREAM__URLL", "x"),
        ],
    );
    assert_eq!(found.len(), 4, "{found:#?}");
    assert!(
        found[0].starts_with("environment RISER__AGGREGATE__PERCENTILES: error: aggregate.percentiles: "),
        "{found:#?}"
    );
    assert!(
        found[1].starts_with(
            "environment RISER__AGGREGATE__WINDOW: error: aggregate.window: `5` is not a duration"
        ),
        "{found:#?}"
    );
    assert!(found[2].contains("can stand for `a-b` and for `a_b`"), "{found:#?}");
    assert_eq!(
        found[3],
        "environment RISER__UPSTREAM__URLL: error: upstream.urll: unknown key; did you mean \"url\"?"
    );
}

#[test]
fn a_flag_wins_over_the_environment_and_is_checked_like_it() {
    let variables = vec![("RISER__AGGREGATE__WINDOW".into(), "10s".into())];
    let load = |flags: &[&str]| {
        let flags = flags.iter().map(|flag| (*flag).to_owned()).collect();
        from_bytes(
            Path::new("g.toml"),
            b"[aggregate]\nwindow = \"5m\"\n",
            Layers { variables: variables.clone(), flags },
            Timestamp::PLAUSIBLE,
        )
    };
    let loaded = load(&["aggregate.window=20s", "aggregate.by_zone=true"]).unwrap();
    assert_eq!(loaded.config.aggregate.window.to_string(), "20s");
    assert!(loaded.config.aggregate.by_zone);
    let ConfigError::Invalid { findings } = load(&["aggregate.windw=20s", "nonsense"]).unwrap_err() else {
        panic!()
    };
    let text = findings.to_string();
    assert!(
        text.contains("--set aggregate.windw: error: aggregate.windw: unknown key; did you mean \"window\"?"),
        "{text}"
    );
    assert!(text.contains("--set nonsense: error: write KEY=VALUE"), "{text}");
}
