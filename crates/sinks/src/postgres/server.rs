//! One connection to a database: opened when it is needed, tables made or checked, statements run.
//!
//! Guarantees: a connection on which anything failed is not used again; no password is in an error's text; a certificate is
//! always checked.

use std::future::Future;
use std::str::FromStr as _;
use std::sync::Arc;
use std::time::Duration;

use gateway_core::chain;
use mqtt_link::{Tls, tls};
use outbox::Lane;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_postgres::config::{Host, SslMode, TargetSessionAttrs};
use tokio_postgres::error::SqlState;
use tokio_postgres::tls::{MakeTlsConnect, NoTls};
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Error};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::config::Config;
use super::rows::{self, Column};
use super::stream::{Allowance, Stream, hosts};
use super::tables;
use crate::kind::Send as Kinds;
use crate::reason::shown;
use crate::sink::WriteError;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// The address of a configuration.
///
/// # Errors
/// It cannot be used. Without secrets.
pub(super) fn parse(table: &Config) -> Result<tokio_postgres::Config, String> {
    const LOGIN: &str = "credentials do not belong in the address; write username and password_file";
    let Some((_, rest)) = ["postgres", "postgresql"]
        .iter()
        .find_map(|scheme| table.url.split_once("://").filter(|(word, _)| word == scheme))
    else {
        return Err("begins with another word than postgres://".to_owned());
    };
    if rest.split(['/', '?']).next().is_some_and(|host| host.contains('@')) {
        return Err(LOGIN.to_owned());
    }
    let mut config = tokio_postgres::Config::from_str(&table.url).map_err(|error| chain(&error))?;
    if config.get_user().is_some() || config.get_password().is_some() {
        return Err(LOGIN.to_owned());
    }
    if config.get_hosts().is_empty() {
        return Err("has no host; write postgres://host:port/database".to_owned());
    }
    if config.get_dbname().is_none_or(str::is_empty) {
        return Err("has no database; write postgres://host:port/database".to_owned());
    }
    if table.ca_file.is_some() {
        config.ssl_mode(SslMode::Require);
    } else if !table.url.contains("sslmode=") {
        // The usual `prefer` would refuse the certificates that Debian's servers make for themselves.
        config.ssl_mode(SslMode::Disable);
    }
    if let Some(name) = &table.username {
        config.user(name);
    }
    if let Some(password) = &table.password {
        config.password(password.expose());
    }
    config.application_name("riser");
    Ok(config)
}

/// One schema of one database.
pub(super) struct Server {
    config: tokio_postgres::Config,
    tls: Tls,
    /// `host:port/database`, for messages.
    name: String,
    schema: String,
    create: bool,
    send: Vec<Kinds>,
    connection: Option<Connection>,
}

struct Connection {
    client: Client,
    allowance: Allowance,
    /// Ends with the connection.
    _driver: JoinSet<()>,
}

impl Server {
    /// # Errors
    /// The url cannot be used.
    pub(super) fn new(table: &Config) -> Result<Server, String> {
        let config = parse(table)?;
        let name = name_of(&config);
        Ok(Server {
            config,
            tls: Tls { ca_file: table.ca_file.clone(), ..Tls::default() },
            name,
            schema: table.schema.clone(),
            create: table.create,
            send: table.send.clone(),
            connection: None,
        })
    }

    /// Writes the rows of a batch.
    pub(super) async fn insert(&mut self, lane: Lane, rows: &[Column<'_>]) -> Result<(), WriteError> {
        // It is only kept after a success: a failure, or the end of this future, closes it.
        let connection = match self.connection.take().filter(|connection| !connection.client.is_closed()) {
            Some(connection) => connection,
            None => self.open().await.map_err(|error| WriteError::retry(error.text))?,
        };
        connection.allowance.renew();
        match insert(&connection.client, lane, &self.schema, rows).await {
            Ok(()) => {
                self.connection = Some(connection);
                Ok(())
            }
            Err(error) if is_of_the_rows(&error) => {
                self.connection = Some(connection);
                Err(WriteError::Refused { reason: self.failure(&error).text })
            }
            Err(error) => Err(WriteError::retry(self.failure(&error).text)),
        }
    }

    /// What is not as it should be: the key of the configuration, and why. Changes nothing in the database.
    pub(super) async fn probe(self) -> Result<(), (&'static str, String)> {
        let found = |failure: Failure| (failure.key, failure.text);
        let connection = self.connect().await.map_err(found)?;
        for send in &self.send {
            let rows = rows::of(send.lane(), &[]);
            // No rows: the server checks the table, its columns and key, and what the user may do.
            let Err(error) = insert(&connection.client, send.lane(), &self.schema, &rows).await else {
                continue;
            };
            if !(self.create && is_missing(&error)) {
                return Err(found(self.failure(&error)));
            }
            if !self.may_create(&connection.client).await.map_err(found)? {
                let why = format!(
                    "{}: there are no tables in the schema {}, and the user may not create them",
                    self.name, self.schema
                );
                return Err(("create", why));
            }
        }
        Ok(())
    }

    /// A new connection, and the tables.
    async fn open(&self) -> Result<Connection, Failure> {
        let connection = self.connect().await?;
        if self.create {
            let created = create_tables(&connection.client, &self.schema).await;
            if created.map_err(|error| self.failure(&error))? {
                tracing::info!(database = self.name, schema = self.schema, "the tables are created");
            }
        }
        Ok(connection)
    }

    /// To the first host that answers as it should.
    async fn connect(&self) -> Result<Connection, Failure> {
        let tls =
            if self.config.get_ssl_mode() == SslMode::Disable { None } else { Some(self.load_tls().await?) };
        let mut failure = None;
        for (name, address, port) in hosts(&self.config) {
            let connecting = self.connect_to(&name, &address, port, tls.clone());
            match timeout(CONNECT_TIMEOUT, connecting).await {
                Ok(Ok(connection)) => return Ok(connection),
                Ok(Err(why)) => failure = Some(why),
                Err(_late) => {
                    failure = Some(self.out_of_reach(&format!("no answer within {CONNECT_TIMEOUT:?}")));
                }
            }
        }
        Err(failure.unwrap_or_else(|| self.out_of_reach("it has no host")))
    }

    async fn load_tls(&self) -> Result<MakeRustlsConnect, Failure> {
        let loaded = tls::load_in_background(&self.tls).await;
        let config = loaded.map_err(|text| Failure { key: "ca_file", text })?;
        Ok(MakeRustlsConnect::new(Arc::unwrap_or_clone(config)))
    }

    async fn connect_to(
        &self,
        name: &Host,
        address: &Host,
        port: u16,
        tls: Option<MakeRustlsConnect>,
    ) -> Result<Connection, Failure> {
        let stream =
            Stream::connect(address, port).await.map_err(|error| self.out_of_reach(&chain(&error)))?;
        let allowance = stream.allowance();
        let connection = match (tls, name) {
            (Some(mut tls), Host::Tcp(name)) => {
                let tls = MakeTlsConnect::<Stream>::make_tls_connect(&mut tls, name)
                    .map_err(|error| self.out_of_reach(&chain(&error)))?;
                let (client, connection) =
                    self.config.connect_raw(stream, tls).await.map_err(|error| self.failure(&error))?;
                drive(client, allowance, connection)
            }
            _ => {
                let (client, connection) =
                    self.config.connect_raw(stream, NoTls).await.map_err(|error| self.failure(&error))?;
                drive(client, allowance, connection)
            }
        };
        if self.config.get_target_session_attrs() == TargetSessionAttrs::ReadWrite {
            let read_only = "SELECT current_setting('transaction_read_only') = 'on'";
            let answer = one::<bool>(&connection.client, read_only, &[]).await;
            if answer.map_err(|error| self.failure(&error))? == Some(true) {
                return Err(self.out_of_reach("it does not take writes"));
            }
        }
        Ok(connection)
    }

    fn out_of_reach(&self, why: &str) -> Failure {
        Failure { key: "url", text: format!("{} is out of reach: {why}", self.name) }
    }

    async fn may_create(&self, client: &Client) -> Result<bool, Failure> {
        const MAY_CREATE: &str = "SELECT coalesce(
            (SELECT has_schema_privilege(oid, 'CREATE') FROM pg_namespace WHERE nspname = $1),
            has_database_privilege(current_database(), 'CREATE'))";
        let answer = one::<bool>(client, MAY_CREATE, &[(&self.schema, Type::TEXT)]).await;
        Ok(answer.map_err(|error| self.failure(&error))?.unwrap_or(false))
    }

    /// What the server said, what to do, and the key that is to blame.
    fn failure(&self, error: &Error) -> Failure {
        let Some(db) = error.as_db_error() else {
            return self.out_of_reach(&chain(error));
        };
        let (key, remedy) = remedy(db.code(), self.create);
        let message = shown(db.message());
        let semicolon = if remedy.is_empty() { "" } else { "; " };
        Failure { key, text: format!("{}: {message} ({}){semicolon}{remedy}", self.name, db.code().code()) }
    }
}

/// What failed, for people, and the key of the configuration that is to blame.
struct Failure {
    key: &'static str,
    text: String,
}

fn remedy(code: &SqlState, create: bool) -> (&'static str, &'static str) {
    match code.code().get(..2).unwrap_or_default() {
        "28" => ("username", "look at username and password_file"),
        "3D" => ("url", "create the database, or look at url"),
        "3F" if !create => ("schema", "create it and its tables (docs/sinks.md), or write create = true"),
        _ if *code == SqlState::INSUFFICIENT_PRIVILEGE => {
            ("username", "give the user SELECT, INSERT and UPDATE on the tables and USAGE on the schema")
        }
        _ if *code == SqlState::UNDEFINED_TABLE && !create => {
            ("schema", "create it (docs/sinks.md), or write create = true")
        }
        _ if *code == SqlState::UNDEFINED_TABLE => {
            ("schema", "it was there before: drop the table `migrations` too, and all are created again")
        }
        _ if [SqlState::UNDEFINED_COLUMN, SqlState::INVALID_COLUMN_REFERENCE].contains(code) => {
            ("schema", "the table is another than docs/sinks.md has; use a schema of riser's own")
        }
        _ => ("url", ""),
    }
}

/// Whether it is the rows that the database cannot take: values out of range, a check or trigger of the table, a size.
fn is_of_the_rows(error: &Error) -> bool {
    let class = error.code().and_then(|code| code.code().get(..2)).unwrap_or_default();
    matches!(class, "22" | "23" | "54" | "P0")
}

fn is_missing(error: &Error) -> bool {
    error.code().is_some_and(|code| [SqlState::UNDEFINED_TABLE, SqlState::INVALID_SCHEMA_NAME].contains(code))
}

fn name_of(config: &tokio_postgres::Config) -> String {
    let hosts = hosts(config).into_iter().map(|(host, _, port)| match host {
        Host::Tcp(name) => format!("{name}:{port}"),
        Host::Unix(path) => path.display().to_string(),
    });
    let hosts: Vec<String> = hosts.collect();
    format!("{}/{}", hosts.join(","), config.get_dbname().unwrap_or_default())
}

fn drive<C>(client: Client, allowance: Allowance, connection: C) -> Connection
where
    C: Future<Output = Result<(), Error>> + Send + 'static,
{
    let mut driver = JoinSet::new();
    driver.spawn(async move {
        // Its error is also that of the statement.
        let _ended = connection.await;
    });
    Connection { client, allowance, _driver: driver }
}

async fn insert(client: &Client, lane: Lane, schema: &str, rows: &[Column<'_>]) -> Result<(), Error> {
    let parameters: Vec<_> = rows.iter().map(Column::parameter).collect();
    client.execute_typed(&tables::insert(lane, schema), &parameters).await.map(|_count| ())
}

/// Makes or changes what is missing. Returns whether anything was.
async fn create_tables(client: &Client, schema: &str) -> Result<bool, Error> {
    if version(client, schema).await? >= tables::version() {
        return Ok(false);
    }
    client.batch_execute(&format!("BEGIN; {}", tables::LOCK)).await?;
    let exists = "SELECT EXISTS (SELECT FROM pg_namespace WHERE nspname = $1)";
    if one::<bool>(client, exists, &[(&schema, Type::TEXT)]).await? != Some(true) {
        client.batch_execute(&tables::create_schema(schema)).await?;
    }
    let version = version(client, schema).await?;
    let timescale = "SELECT EXISTS (SELECT FROM pg_extension WHERE extname = 'timescaledb')";
    let has_timescale = one::<bool>(client, timescale, &[]).await? == Some(true);
    client.batch_execute(&tables::migrate(schema, version, has_timescale)).await?;
    client.batch_execute("COMMIT").await?;
    Ok(version < tables::version())
}

/// The version of the tables; 0 if there are none.
async fn version(client: &Client, schema: &str) -> Result<i64, Error> {
    let table = tables::migrations(schema);
    let exists = "SELECT to_regclass($1) IS NOT NULL";
    if one::<bool>(client, exists, &[(&table, Type::TEXT)]).await? != Some(true) {
        return Ok(0);
    }
    Ok(one::<i64>(client, &format!("SELECT max(version) FROM {table}"), &[]).await?.unwrap_or(0))
}

/// The only column of the first row.
async fn one<T>(
    client: &Client,
    sql: &str,
    parameters: &[(&(dyn ToSql + Sync), Type)],
) -> Result<Option<T>, Error>
where
    T: for<'a> tokio_postgres::types::FromSql<'a>,
{
    let row = client.query_typed_opt(sql, parameters).await?;
    row.map_or(Ok(None), |row| row.try_get(0))
}
