//! Whole files in, findings out.

mod coap;
mod codecs;
mod generated;
mod limits;
mod outside;
mod sinks;

use std::ffi::OsString;
use std::path::Path;

use gateway_core::Timestamp;
use proptest::prelude::*;

use super::load::{ConfigError, Layers, Loaded, from_bytes};
use super::reference;

/// A right adapter, for files that are about something else.
const ADAPTER: &str = "[adapters.mqtt.floor]\nurl = \"mqtt://localhost\"\ntopics = [{ filter = \"a/{device}\", format = \"json\" }]\n";

fn load(text: &str, environment: &[(&str, &str)]) -> Result<Loaded, ConfigError> {
    load_at(Path::new("gateway.toml"), text, environment)
}

fn load_at(path: &Path, text: &str, environment: &[(&str, &str)]) -> Result<Loaded, ConfigError> {
    let variables = environment.iter().map(|(name, value)| (OsString::from(name), OsString::from(value)));
    from_bytes(
        path,
        text.as_bytes(),
        Layers { variables: variables.collect(), ..Layers::default() },
        Timestamp::PLAUSIBLE,
    )
}

/// All findings, warnings too, a line each.
fn findings(text: &str, environment: &[(&str, &str)]) -> Vec<String> {
    let findings = match load(text, environment) {
        Ok(loaded) => loaded.warnings,
        Err(ConfigError::Invalid { findings }) => findings,
        Err(other) => panic!("{other}"),
    };
    findings.to_string().lines().map(str::to_owned).collect()
}

#[track_caller]
fn finds(text: &str, expected: &[&str]) {
    assert_eq!(findings(text, &[]), expected, "in\n{text}");
}

#[test]
fn an_empty_file_is_right() {
    finds("", &[]);
}

#[test]
fn tells_a_misspelt_key_to_the_letter() {
    finds(
        "[adapters.mqtt.floor]\nurl = \"mqtt://localhost\"\n  topcs = []\n",
        &["gateway.toml:3:3: error: adapters.mqtt.floor.topcs: unknown key; did you mean \"topics\"?"],
    );
    finds("[aggregat]\n", &["gateway.toml:1:2: error: aggregat: unknown key; did you mean \"aggregate\"?"]);
    finds(
        "[journal]\nbanana = 1\n",
        &["gateway.toml:2:1: error: journal.banana: unknown key; allowed here: enabled, sync_every"],
    );
}

#[test]
fn tells_wrong_types_words_and_units() {
    finds(
        "[gateway]\nmax_devices = \"many\"\nunknown_devices = \"acept\"\n[aggregate]\nwindow = 300\nlateness = \"5 minutes\"\n\
         percentiles = [50, 101]\n[anomaly]\nenabled = \"yes\"\nthreshold = 1.5\n[journal]\nsync_every = []\n",
        &[
            "gateway.toml:2:15: error: gateway.max_devices: expected a whole number, found text; leave the quotes out",
            "gateway.toml:3:19: error: gateway.unknown_devices: \"acept\" is not allowed; allowed: \"accept\", \"ignore\"; did you mean \"accept\"?",
            "gateway.toml:5:10: error: aggregate.window: expected a duration such as \"30s\", found a whole number; write a unit and quotes",
            "gateway.toml:6:12: error: aggregate.lateness: `5 minutes` is not a duration; write a whole number and a unit: \"250ms\", \"30s\", \"5m\", \"1h\" or \"30d\"",
            "gateway.toml:7:20: error: aggregate.percentiles[1]: 101 is out of range; allowed: from 0 to 100",
            "gateway.toml:9:11: error: anomaly.enabled: expected true or false, found text; leave the quotes out",
            "gateway.toml:10:13: error: anomaly.threshold: 1.5 is out of range; allowed: from 0 to 1",
            "gateway.toml:12:14: error: journal.sync_every: expected a duration such as \"30s\", found a list",
        ],
    );
}

#[test]
fn tells_syntax_errors_with_line_and_column() {
    let found = findings("[gateway]\nid = \n", &[]);
    assert!(found[0].starts_with("gateway.toml:2:"), "{found:?}");
    assert!(found[0].contains(": error: not TOML: "), "{found:?}");
    assert_eq!(
        from_bytes(Path::new("x.toml"), b"a = 1\nb = \"\xff\"\n", Layers::default(), Timestamp::PLAUSIBLE)
            .unwrap_err()
            .to_string()
            .trim_end(),
        "x.toml:2:1: error: not UTF-8: save the file as UTF-8 text"
    );
}

#[test]
fn sparkplug_is_not_compressed() {
    finds(
        "[upstream]\nurl = \"mqtt://a\"\nformat = \"sparkplug\"\ncompression = \"zstd\"\n",
        &[
            "gateway.toml:4:1: error: upstream.compression: is not there with format = \"sparkplug\", whose hosts could not read it; set \"none\"",
        ],
    );
    finds("[upstream]\nurl = \"mqtt://a\"\nformat = \"senml\"\ncompression = \"zstd\"\n", &[]);
}

#[test]
fn is_honest_about_what_this_version_does_not_have() {
    let found = findings("[sinks.display.hall]\npath = \"hall.png\"\n", &[]);
    let errors: Vec<_> = found.iter().filter(|line| line.contains(": error: ")).collect();
    assert!(
        matches!(errors.as_slice(), [only] if only.contains("has no sink `display` yet; it has: ")),
        "{errors:#?}"
    );
}

#[test]
fn tells_mistakes_of_all_kinds_at_once() {
    let found = findings(
        "[gateway]\nid = \"hq north\"\n[broker]\nlisten = \"0.0.0.0:1883\"\nwebsocket = \"127.0.0.1:1883\"\nanonymus = true\n\
         [broker.users.floor1]\npassword_file = \"no-such.password\"\n\
         [devices.a]\naddress = \"A4:C1:38:8D:18:B2\"\n[devices.b]\naddress = \"a4:c1:38:8d:18:b2\"\n\
         [upstream]\ncompression = \"zip\"\n",
        &[],
    );
    let errors: Vec<_> = found.iter().filter(|line| line.contains(": error: ")).collect();
    let expected = [
        "gateway.toml:2:1: error: gateway.id: \"hq north\" is not an id; write letters, digits, - and _",
        "gateway.toml:5:1: error: broker.websocket: 127.0.0.1:1883 clashes with broker.listen, 0.0.0.0:1883; give each its own port",
        "gateway.toml:6:1: error: broker.anonymus: unknown key; did you mean \"anonymous\"?",
        "gateway.toml:8:1: error: broker.users.floor1.password_file: cannot read no-such.password: No such file or directory (os error 2)",
        "gateway.toml:12:1: error: devices.b.address: \"a4:c1:38:8d:18:b2\" is the address of devices.a too; each device needs its own",
        "gateway.toml:14:15: error: upstream.compression: \"zip\" is not allowed; allowed: \"none\", \"zlib\", \"zstd\"",
    ];
    assert_eq!(errors, expected);
}

#[test]
fn tells_a_missing_key_where_its_table_stands() {
    finds(
        "\n[upstream]\nkeep_alive = \"30s\"\n",
        &[
            "gateway.toml:2:2: error: upstream.url: missing; write it, such as url = \"mqtts://broker.example.com:8883\"",
        ],
    );
    finds(
        "[adapters.mqtt.floor]\nurl = \"mqtt://localhost\"\ntopics = [{ filter = \"a/{device}\" }]\n",
        &[
            "gateway.toml:3:11: error: adapters.mqtt.floor.topics[0].format: missing; write it, such as format = \"json\"",
        ],
    );
}

#[test]
fn tells_topics_that_name_no_device_and_unknown_formats() {
    finds(
        "[adapters.mqtt.floor]\nurl = \"mqtt://localhost\"\ntopics = [\n  { filter = \"a/+\", format = \"json\" },\n  \
         { filter = \"a/{device}\", format = \"jsn\" },\n  { filter = \"a/#/b\", format = \"value\" },\n  \
         { filter = \"a/{device}\", format = \"csv\" },\n]\n",
        &[
            "gateway.toml:4:5: error: adapters.mqtt.floor.topics[0].filter: nothing says which device sent a message: put {device} in place of a level of \"a/+\"",
            &format!(
                "gateway.toml:5:28: error: adapters.mqtt.floor.topics[1].format: \"jsn\" is no format; allowed: {}, and those of docs/ble.md; did you mean \"json\"?",
                ::codecs::Codec::NAMES.join(", ")
            ),
            "gateway.toml:6:5: error: adapters.mqtt.floor.topics[2].filter: `a/#/b` is no topic filter: # must be a whole level, and the last one",
            &findings_about(
                "[adapters.mqtt.floor]\nurl = \"mqtt://localhost\"\ntopics = [{ filter = \"a/{device}\", format = \"csv\" }]\n",
            )
            .replace("topics[0]", "topics[3]")
            .replace("gateway.toml:3:11", "gateway.toml:7:3"),
        ],
    );
}

fn findings_about(text: &str) -> String {
    let found = findings(text, &[]);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].contains("topics[0].columns: "), "{found:?}");
    found[0].clone()
}

#[test]
fn bounds_of_the_broker_that_are_never_reached_and_unknown_placeholders_are_told() {
    finds(
        "[broker]\nlisten = \"127.0.0.1:1883\"\nanonymous = true\nmax_queue_size = \"100MiB\"\nmax_payload_size = \"9MiB\"\n\
         socket = \"/no/such/folder/mqtt\"\nanonymous_publish = [\"%x/#\", \"%c/#\"]\n",
        &[
            "gateway.toml:4:1: warning: broker.max_queue_size: is more than max_memory: it is never reached",
            "gateway.toml:5:1: warning: broker.max_payload_size: is more than max_packet_size: it is never reached",
            "gateway.toml:6:1: error: broker.socket: /no/such/folder is not there; make this folder",
            "gateway.toml:7:22: warning: broker.anonymous_publish[0]: %x stands for itself; only %u and %c stand for the user and the client id",
        ],
    );
}

#[test]
fn an_adapter_needs_a_url_or_the_broker() {
    let text = "[adapters.mqtt.floor]\ntopics = [{ filter = \"a/{device}\", format = \"json\" }]\n";
    finds(
        text,
        &[
            "gateway.toml:1:16: error: adapters.mqtt.floor.url: missing, and there is no [broker] to use instead; write one of them",
        ],
    );
    finds(&format!("{text}[broker]\nlisten = \"127.0.0.1:1883\"\nanonymous = true\n"), &[]);
}

#[test]
fn warns_of_open_and_of_closed_doors() {
    finds(
        "[broker]\nlisten = \"0.0.0.0:1883\"\nanonymous = true\n",
        &[
            "gateway.toml:2:1: warning: broker.listen: any host that reaches 0.0.0.0:1883 may publish and subscribe to everything; set anonymous = false",
        ],
    );
    finds(
        "[broker]\nlisten = \"127.0.0.1:1883\"\n",
        &[
            "gateway.toml:1:2: warning: broker: there are no users and anonymous = false: no client can connect",
        ],
    );
}

#[test]
fn rules_need_a_condition_and_actions_an_adapter() {
    let found = findings(
        &format!(
            "{ADAPTER}[alerts.empty]\nmetric = \"temperature\"\n[alerts.fast]\nmetric = \"temperature\"\nrises_by = 3.0\n\
             [alerts.hot]\nmetric = \"temperature\"\nabove = 40.0\n\
             actions = [{{ adapter = \"mqtt.flor\", topic = \"a/+\", payload = \"\" }}]\n"
        ),
        &[],
    );
    assert_eq!(found.len(), 4, "{found:#?}");
    assert!(found[0].starts_with("gateway.toml:4:9: error: alerts.empty."), "{found:#?}");
    assert!(found[1].starts_with("gateway.toml:6:9: error: alerts.fast.within: "), "{found:#?}");
    assert_eq!(
        found[2],
        "gateway.toml:12:14: error: alerts.hot.actions[0].adapter: there is no adapter \"mqtt.flor\"; there are: mqtt.floor; did you mean \"mqtt.floor\"?"
    );
    assert!(found[3].starts_with("gateway.toml:12:37: error: alerts.hot.actions[0].topic: "), "{found:#?}");
}

#[test]
fn rules_about_values_name_their_metric() {
    let message = "which metric is compared? only anomaly, silent_for and when can do without";
    finds(
        "[alerts.hot]\nabove = 40.0\nsilent_for = \"1h\"\n[alerts.wild]\nanomaly = 0.9\nsilent_for = \"1h\"\n",
        &[&format!("gateway.toml:1:9: error: alerts.hot.metric: {message}")],
    );
    finds(
        "[alerts.hot]\nmetrik = \"t\"\nabove = 40.0\n",
        &["gateway.toml:2:1: error: alerts.hot.metrik: unknown key; did you mean \"metric\"?"],
    );
}

#[test]
fn a_url_with_a_password_in_it_is_refused_unseen() {
    let found = findings("[upstream]\nurl = \"mqtt://user:hunter2@:x\"\n", &[]);
    assert_eq!(
        found,
        [
            "gateway.toml:2:1: error: upstream.url: credentials do not belong in the address; write username and password_file beside it"
        ]
    );
}

#[test]
fn names_may_hold_anything() {
    let loaded = load("[devices.\"a.b/c [0]\"]\nzone = \"x\"\n", &[]).unwrap();
    assert_eq!(loaded.config.devices["a.b/c [0]"].zone.as_deref(), Some("x"));
    finds(
        "[devices.\"a.b\\n\"]\nzon = \"x\"\n",
        &["gateway.toml:2:1: error: devices.\"a.b\\u000A\".zon: unknown key; did you mean \"zone\"?"],
    );
}

/// What INTERFACE promises to users, as far as this version has it.
#[test]
fn a_file_that_uses_everything_loads() {
    let text = r##"
[gateway]
id = "hq-north"
prefix = "building"
data_dir = "/var/lib/riser"
timezone = "Europe/Paris"
unknown_devices = "accept"
[upstream]
url = "mqtts://broker.example.com:8883"
protocol = "5"
client_id = "riser-hq-north"
username = "hq-north"
password = "x"
keep_alive = "30s"
format = "json"
compression = "zstd"
[upstream.outbox]
max_size = "256MiB"
when_full = "drop_oldest"
max_in_flight = 64
[broker]
listen = "0.0.0.0:1883"
websocket = "0.0.0.0:9001"
anonymous = false
[broker.users]
floor1 = { password = "x", publish = ["sensors/#"], subscribe = ["actuators/floor1/#"] }
[adapters.mqtt.floor]
topics = [
  { filter = "sensors/data/{device}/{metric}", format = "value" },
  { filter = "sensors/{device}/telemetry",     format = "json" },
  { filter = "zigbee2mqtt/{device}",           format = "zigbee2mqtt" },
]
[devices.lounge]
address = "A4:C1:38:8D:18:B2"
zone = "floor-1/lounge"
rename = { tempc = "temperature" }
calibrate = { temperature = { scale = 1.0, offset = -0.3 } }
[aggregate]
window = "5m"
every = "5m"
lateness = "10s"
correct_for = "1h"
max_future = "1h"
percentiles = []
by_zone = false
[aggregate.metrics.energy]
kind = "counter"
[anomaly]
enabled = true
threshold = 0.5
[alerts.too-hot]
metric = "temperature"
above = 40.0
below = 5.0
for = "0s"
clear_by = 0.5
severity = "critical"
devices = ["*"]
zones = ["floor-1/*"]
actions = [ { adapter = "mqtt.floor", topic = "zigbee2mqtt/hvac_zone_1/set", payload = '{"fan_mode":"high"}' } ]
[journal]
enabled = true
sync_every = "1s"
[history]
keep = "30d"
keep_hours = "365d"
keep_days = "3650d"
readings = "2d"
"##;
    finds(text, &[]);
    let config = load(text, &[]).unwrap().config;
    assert_eq!(config.devices["lounge"].calibrate["temperature"].offset, -0.3);
    assert_eq!(config.alerts["too-hot"].actions[0].adapter, "mqtt.floor");
    assert_eq!(config.broker.unwrap().users["floor1"].publish, ["sensors/#"]);
}

#[test]
fn messages_kept_in_memory_need_a_journal_to_be_made_again_from() {
    let text = |spill_after, journal| {
        format!(
            "[upstream]\nurl = \"mqtt://a\"\n[upstream.outbox]\nspill_after = \"{spill_after}\"\n\
             [journal]\nenabled = {journal}\n"
        )
    };
    finds(&text("10s", true), &[]);
    finds(&text("0s", false), &[]);
    let needs = "gateway.toml:4:1: error: upstream.outbox.spill_after: needs the journal, from which a crash's \
                 messages are made again; set journal.enabled = true or this to \"0s\"";
    finds(&text("10s", false), &[needs]);
    let range =
        "gateway.toml:4:1: error: upstream.outbox.spill_after: is out of range; allowed: up to \"10m\"";
    finds(&text("1h", true), &[range]);
}

#[test]
fn numbers_that_are_none_are_told_with_everything_else() {
    finds(
        "[alerts.a]\nmetric = \"t\"\nabove = nan\nbelow = 5\nclear_by = 1e999\n[aggregate]\nwindow = \"0s\"\n",
        &[
            "gateway.toml:3:9: error: alerts.a.above: the number is not finite",
            "gateway.toml:5:12: error: alerts.a.clear_by: the number is not finite",
            "gateway.toml:7:1: error: aggregate.window: is out of range; allowed: from \"100ms\" to \"7d\"",
        ],
    );
}

#[test]
fn health_comes_at_least_once_a_minute() {
    for allowed in ["1s", "60s"] {
        finds(&format!("[gateway]\nhealth_every = \"{allowed}\"\n"), &[]);
    }
    let range =
        "gateway.toml:2:1: error: gateway.health_every: is out of range; allowed: from \"1s\" to \"60s\"";
    for wrong in ["999ms", "61s"] {
        finds(&format!("[gateway]\nhealth_every = \"{wrong}\"\n"), &[range]);
    }
}

#[test]
fn training_is_not_asked_for_more_often_than_a_machine_can_look() {
    finds("[anomaly]\nretrain = \"0s\"\n", &[]);
    finds("[anomaly]\nretrain = \"1s\"\n", &[]);
    let allowed = "anomaly.retrain: is out of range; allowed: \"0s\" (never), or from \"1s\" to \"3650d\"";
    for wrong in ["999ms", "3651d"] {
        let message = format!("gateway.toml:2:1: error: {allowed}");
        finds(&format!("[anomaly]\nretrain = \"{wrong}\"\n"), &[&message]);
    }
}

#[test]
fn a_history_has_room_for_something_and_ends_some_day_and_keep_0_turns_it_off() {
    finds("[history]\nkeep = \"0s\"\n", &[]);
    finds(
        "[history]\nkeep = \"4000d\"\nkeep_hours = \"4000d\"\nkeep_days = \"4000d\"\nreadings = \"4000d\"\nmax_size = \"1MiB\"\n",
        &[
            "gateway.toml:2:1: error: history.keep: is out of range; allowed: up to \"3650d\"",
            "gateway.toml:3:1: error: history.keep_hours: is out of range; allowed: up to \"3650d\"",
            "gateway.toml:4:1: error: history.keep_days: is out of range; allowed: up to \"3650d\"",
            "gateway.toml:5:1: error: history.readings: is out of range; allowed: up to \"3650d\"",
            "gateway.toml:6:1: error: history.max_size: is too small; write at least \"16MiB\"",
        ],
    );
}
