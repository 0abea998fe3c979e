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
        "[sinks.postgres.a]\nurl = \"postgres://u:hush@h/b\"\nschema = \"\"\n[sinks.postgres.b]\nurl = \"postgres://h\"\npassword = \"hush\"\nsend = []\n",
        &[
            "gateway.toml:2:1: error: sinks.postgres.a.url: credentials do not belong in the address; write username and password_file",
            "gateway.toml:3:1: error: sinks.postgres.a.schema: is no name of a schema: it has 1 to 63 bytes",
            "gateway.toml:4:17: error: sinks.postgres.b.password_file: there is no `username` that it belongs to",
            "gateway.toml:5:1: error: sinks.postgres.b.url: has no database; write postgres://host:port/database",
            "gateway.toml:7:1: error: sinks.postgres.b.send: is empty; write at least one of \"aggregates\", \"alerts\", \"readings\"",
        ],
    );
    finds(
        "[sinks.nats.a]\nurl = \"nats://u:hush@h\"\nsubject = \"a..b\"\nstream = \"a.b\"\n[sinks.nats.b]\nurl = \"nats://a,http://b\"\n\
         subject = \"r.{zone}\"\npassword = \"hush\"\nsend = []\n",
        &[
            "gateway.toml:2:1: error: sinks.nats.a.url: credentials do not belong in the address; write username and password_file, or credentials_file",
            "gateway.toml:3:1: error: sinks.nats.a.subject: is no subject: its parts between dots are not empty, it has no white space, no `*` and no `>`, and does not begin with `$`",
            "gateway.toml:4:1: error: sinks.nats.a.stream: is no name of a stream: it has no white space and none of . * > / \\",
            "gateway.toml:5:13: error: sinks.nats.b.password_file: there is no `username` that it belongs to",
            "gateway.toml:6:1: error: sinks.nats.b.url: begins with another word than nats:// or tls://",
            "gateway.toml:7:1: error: sinks.nats.b.subject: has the unknown `{zone}`; there are: gateway, kind, device",
            "gateway.toml:9:1: error: sinks.nats.b.send: is empty; write at least one of \"aggregates\", \"alerts\", \"readings\"",
        ],
    );
    finds(
        "[sinks.mongodb.a]\nurl = \"mongodb://u:hush@h\"\ndatabase = \"a.b\"\ncollections = { alerts = \"\" }\n\
         [sinks.mongodb.b]\nurl = \"mongodb+srv://h\"\ndatabase = \"b\"\npassword = \"hush\"\nsend = []\n",
        &[
            "gateway.toml:2:1: error: sinks.mongodb.a.url: credentials do not belong in the address; write username and password_file",
            "gateway.toml:3:1: error: sinks.mongodb.a.database: is no name of a database",
            "gateway.toml:4:1: error: sinks.mongodb.a.collections: \"\" is no name of a collection",
            "gateway.toml:5:16: error: sinks.mongodb.b.password_file: there is no `username` that it belongs to",
            "gateway.toml:6:1: error: sinks.mongodb.b.url: mongodb+srv:// is not supported; write the servers themselves: mongodb://a,b,c/?replicaSet=name",
            "gateway.toml:9:1: error: sinks.mongodb.b.send: is empty; write at least one of \"aggregates\", \"alerts\", \"readings\"",
        ],
    );
    for switch in ["tlsInsecure", "tlsAllowInvalidCertificates"] {
        finds(
            &format!("[sinks.mongodb.a]\nurl = \"mongodb://h/?tls=true&{switch}=true\"\ndatabase = \"b\"\n"),
            &[
                "gateway.toml:2:1: error: sinks.mongodb.a.url: switches the check of the certificate off; leave that out, and set ca_file",
            ],
        );
    }
    finds(
        "[sinks.kafka.a]\nbrokers = []\ntopic = \"a b\"\n[sinks.kafka.b]\nbrokers = [\"kafka://h:9092\"]\npassword = \"hush\"\nsend = []\n",
        &[
            "gateway.toml:2:1: error: sinks.kafka.a.brokers: is empty; write at least one such as \"localhost:9092\"",
            "gateway.toml:3:1: error: sinks.kafka.a.topic: is no topic: it has letters, digits and . _ - only, and may have {kind}",
            "gateway.toml:4:14: error: sinks.kafka.b.password_file: there is no `username` that it belongs to",
            "gateway.toml:5:1: error: sinks.kafka.b.brokers: has what is no host and port; write one such as \"localhost:9092\"",
            "gateway.toml:7:1: error: sinks.kafka.b.send: is empty; write at least one of \"aggregates\", \"alerts\", \"readings\"",
        ],
    );
    finds("[sinks.file.a]\nformat = \"parquet\"\nmax_size = \"256MiB\"\n", &[]);
    finds(
        "[sinks.file.a]\nformat = \"parquet\"\nmax_size = \"257MiB\"\n[sinks.file.b]\nformat = \"xml\"\n",
        &[
            "gateway.toml:3:1: error: sinks.file.a.max_size: must be 256MiB at most with format = \"parquet\"",
            "gateway.toml:5:10: error: sinks.file.b.format: \"xml\" is not allowed; allowed: \"jsonl\", \"csv\", \"parquet\"",
        ],
    );
    finds(
        "[sinks.display.b]\n",
        &[
            "gateway.toml:1:8: error: sinks.display: this version of riser has no sink `display` yet; it has: influxdb, mongodb, postgres, nats, kafka, http, file",
        ],
    );
}
