//! `[sinks.*]`: what is wrong is said with its line, and what to do.

use super::finds;

#[test]
fn a_right_sink_is_right() {
    finds("[sinks.influxdb.local]\nurl = \"http://localhost:8086\"\ndatabase = \"building\"\n", &[]);
    finds(
        "[sinks.influxdb.a]\nurl = \"https://influx:8086\"\nversion = 2\norg = \"home\"\nbucket = \"b\"\ntoken = \"t\"\n\
         [sinks.influxdb.b]\nurl = \"http://influx:8181\"\nversion = 3\ndatabase = \"b\"\nsend = [\"alerts\"]\nmeasurement = \"m\"\n",
        &[],
    );
}

#[test]
fn each_version_has_its_own_keys() {
    finds(
        "[sinks.influxdb.local]\nurl = \"http://localhost:8086\"\nversion = 2\ndatabase = \"b\"\nusername = \"u\"\npassword = \"p\"\n",
        &[
            "gateway.toml:1:17: error: sinks.influxdb.local.bucket: missing; version 2 needs it",
            "gateway.toml:1:17: error: sinks.influxdb.local.org: missing; version 2 needs it",
            "gateway.toml:1:17: error: sinks.influxdb.local.token_file: missing; version 2 needs it",
            "gateway.toml:4:1: error: sinks.influxdb.local.database: is not for version 2",
            "gateway.toml:5:1: error: sinks.influxdb.local.username: is not for version 2, which has token_file",
        ],
    );
    finds(
        "[sinks.influxdb.local]\nurl = \"http://localhost:8086\"\ntoken = \"t\"\n",
        &[
            "gateway.toml:1:17: error: sinks.influxdb.local.database: missing; version 1 needs it",
            "gateway.toml:1:17: error: sinks.influxdb.local.token_file: is not for version 1, which has username and password_file",
        ],
    );
}

#[test]
fn addresses_measurements_and_kinds_that_cannot_be_are_refused() {
    finds(
        "[sinks.influxdb.a]\nurl = \"http://u:geheim@h\"\ndatabase = \"b\"\n[sinks.influxdb.b]\nurl = \"mqtt://h\"\ndatabase = \"b\"\n\
         measurement = \"m\"\n[sinks.influxdb.c]\nurl = \"h:8086\"\ndatabase = \"b\"\nsend = []\n",
        &[
            "gateway.toml:2:1: error: sinks.influxdb.a.url: credentials do not belong in the address; write username and password_file, or token_file",
            "gateway.toml:5:1: error: sinks.influxdb.b.url: begins with another word than http:// or https://",
            "gateway.toml:7:1: error: sinks.influxdb.b.measurement: stands for one kind of record: write exactly one into `send`",
            "gateway.toml:9:1: error: sinks.influxdb.c.url: begins with another word than http:// or https://",
            "gateway.toml:11:1: error: sinks.influxdb.c.send: is empty; write at least one of \"aggregates\", \"alerts\", \"readings\"",
        ],
    );
    finds(
        "[sinks.http.a]\nurl = \"http://user:hush@h/\"\nbatch = 0\n[sinks.http.a.headers]\nHost = \"x\"\n\"a b\" = \"y\"\nX = \"a\\nb\"\n",
        &[
            "gateway.toml:2:1: error: sinks.http.a.url: credentials do not belong in the address; write token_file",
            "gateway.toml:3:9: error: sinks.http.a.batch: 0 is out of range; allowed: from 1 to 10000",
            "gateway.toml:5:1: error: sinks.http.a.headers.Host: is written by the sink itself; remove it",
            "gateway.toml:6:1: error: sinks.http.a.headers.\"a b\": is no name of a header",
            "gateway.toml:7:1: error: sinks.http.a.headers.X: has characters that a header cannot have",
        ],
    );
    finds(
        "[sinks.display.b]\n",
        &[
            "gateway.toml:1:8: error: sinks.display: this version of riser has no sink `display` yet; it has: influxdb, http, file",
        ],
    );
}
