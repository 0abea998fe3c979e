//! The tables and the statements that write into them.

use outbox::Lane;

/// Changes of our own tables, in their order. A database notes which of them it has; each is made once. One that has been
/// released stays as it is.
const MIGRATIONS: &[&str] = &["
    CREATE TABLE IF NOT EXISTS {schema}.aggregates (
      gateway text NOT NULL, device text NOT NULL, zone text, protocol text, metric text NOT NULL,
      start timestamptz NOT NULL, length bigint NOT NULL,
      avg float8 NOT NULL, min float8 NOT NULL, max float8 NOT NULL, std float8 NOT NULL,
      count bigint NOT NULL, revision bigint NOT NULL, late bigint NOT NULL,
      PRIMARY KEY (gateway, device, metric, start, length));
    CREATE TABLE IF NOT EXISTS {schema}.readings (
      time timestamptz NOT NULL, gateway text NOT NULL, device text NOT NULL, zone text, protocol text,
      metric text NOT NULL, value float8 NOT NULL, number bigint NOT NULL DEFAULT 0,
      PRIMARY KEY (gateway, device, metric, time, number));
    CREATE TABLE IF NOT EXISTS {schema}.alerts (
      id text PRIMARY KEY, time timestamptz NOT NULL, gateway text NOT NULL, device text NOT NULL, zone text,
      metric text, alert text NOT NULL, kind text NOT NULL, state text NOT NULL, severity text NOT NULL,
      value float8, message text NOT NULL);
    COMMENT ON COLUMN {schema}.aggregates.length IS 'of the window, in milliseconds';
    COMMENT ON COLUMN {schema}.aggregates.device IS 'zones/<zone> for the aggregate of a zone';
    COMMENT ON COLUMN {schema}.readings.number IS 'tells messages of a device with the same time apart';"];

/// Makes hypertables of both tables with a time in their key, while they are empty.
const HYPERTABLES: &str = "
    SELECT create_hypertable('{text}.aggregates', 'start');
    SELECT create_hypertable('{text}.readings', 'time');";

/// One of several gateways creates the tables, the others wait for it, until the end of the transaction.
pub(super) const LOCK: &str = "SELECT pg_advisory_xact_lock(7810758427)";

/// The version of the tables: a database with this many migrations needs none.
pub(super) fn version() -> i64 {
    i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX)
}

/// A name as SQL writes it.
pub(super) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn filled(text: &str, schema: &str) -> String {
    let literal = quoted(schema).replace('\'', "''");
    text.replace("{schema}", &quoted(schema)).replace("{text}", &literal)
}

/// The table that notes the versions.
pub(super) fn migrations(schema: &str) -> String {
    format!("{}.migrations", quoted(schema))
}

pub(super) fn create_schema(schema: &str) -> String {
    format!("CREATE SCHEMA {}", quoted(schema))
}

/// Everything that tables of this version lack.
pub(super) fn migrate(schema: &str, version: i64, has_timescale: bool) -> String {
    let table = migrations(schema);
    let mut sql = String::new();
    for (number, migration) in (1..).zip(MIGRATIONS).filter(|(number, _)| *number > version) {
        if number == 1 {
            sql += &format!(
                "CREATE TABLE {table} (version bigint PRIMARY KEY, applied timestamptz NOT NULL DEFAULT now());"
            );
        }
        sql += &filled(migration, schema);
        if number == 1 && has_timescale {
            sql += &filled(HYPERTABLES, schema);
        }
        sql += &format!("INSERT INTO {table} (version) VALUES ({number});");
    }
    sql
}

/// Writes the rows of a batch, given as arrays. A row that is there already stays, unless it has a lower revision.
pub(super) fn insert(lane: Lane, schema: &str) -> String {
    let text = match lane {
        Lane::Aggregates => {
            "INSERT INTO {schema}.aggregates AS old (gateway, device, zone, protocol, metric, start, length,
               avg, min, max, std, count, revision, late)
             SELECT gateway, device, zone, protocol, metric, timestamptz 'epoch' + start * interval '1 millisecond', length,
               avg, min, max, std, count, revision, late
             FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
               AS new (gateway, device, zone, protocol, metric, start, length, avg, min, max, std, count, revision, late)
             ON CONFLICT (gateway, device, metric, start, length) DO UPDATE SET
               zone = excluded.zone, protocol = excluded.protocol,
               avg = excluded.avg, min = excluded.min, max = excluded.max, std = excluded.std,
               count = excluded.count, revision = excluded.revision, late = excluded.late
             WHERE old.revision < excluded.revision"
        }
        Lane::Readings => {
            "INSERT INTO {schema}.readings (time, gateway, device, zone, protocol, metric, value, number)
             SELECT timestamptz 'epoch' + time * interval '1 millisecond', gateway, device, zone, protocol, metric, value, number
             FROM unnest($1, $2, $3, $4, $5, $6, $7, $8)
               AS new (time, gateway, device, zone, protocol, metric, value, number)
             ON CONFLICT (gateway, device, metric, time, number) DO NOTHING"
        }
        Lane::Alerts => {
            "INSERT INTO {schema}.alerts (id, time, gateway, device, zone, metric, alert, kind, state, severity, value, message)
             SELECT id, timestamptz 'epoch' + time * interval '1 millisecond', gateway, device, zone, metric, alert, kind,
               state, severity, value, message
             FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
               AS new (id, time, gateway, device, zone, metric, alert, kind, state, severity, value, message)
             ON CONFLICT (id) DO NOTHING"
        }
    };
    filled(text, schema)
}
