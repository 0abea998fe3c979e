//! The driver: connects, writes batches of documents, and says what came of each.
//!
//! Guarantees: no password is in an error's text. The driver opens connections when they are needed and finds the primary of a
//! replica set by itself.

use std::time::Duration;

use mongodb::Client;
use mongodb::bson::{Bson, Document, doc};
use mongodb::error::{Error, ErrorKind};
use mongodb::options::{ClientOptions, ConnectionString, Credential, Tls, TlsOptions};
use outbox::Lane;

use super::config::{Collections, Config};
use super::document;
use crate::kind::Send as Kinds;
use crate::newest::newest;
use crate::reason::shown;
use crate::sink::{Item, Outcome, WriteError};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long to wait for a primary. An election may take longer; then it is tried again.
const SELECT_TIMEOUT: Duration = Duration::from_secs(3);
const MAX_CONNECTIONS: u32 = 2;
/// The document has an `_id` that is there.
const DUPLICATE_KEY: i32 = 11_000;
/// Errors of single documents that are not theirs: unreachable or slow members, elections, conflicts of writes, no
/// permission, a full disk. Source: error_codes.yml of MongoDB.
const PASSING: [i32; 17] =
    [6, 7, 13, 18, 50, 63, 89, 91, 112, 189, 262, 9001, 10_107, 11_600, 11_602, 13_435, 14_031];

/// The address of a configuration.
///
/// # Errors
/// It cannot be used. Without secrets.
pub(super) fn parse(url: &str) -> Result<ConnectionString, String> {
    if url.starts_with("mongodb+srv://") {
        return Err(
            "mongodb+srv:// is not supported; write the servers themselves: mongodb://a,b,c/?replicaSet=name"
                .to_owned(),
        );
    }
    let Some(rest) = url.strip_prefix("mongodb://") else {
        return Err("begins with another word than mongodb://".to_owned());
    };
    if rest.split(['/', '?']).next().is_some_and(|hosts| hosts.contains('@')) {
        return Err("credentials do not belong in the address; write username and password_file".to_owned());
    }
    let parsed = ConnectionString::parse(url).map_err(|error| shown(&error.kind.to_string()))?;
    let unchecked = |tls: &TlsOptions| tls.allow_invalid_certificates == Some(true);
    if matches!(&parsed.tls, Some(Tls::Enabled(tls)) if unchecked(tls)) {
        return Err("switches the check of the certificate off; leave that out, and set ca_file".to_owned());
    }
    Ok(parsed)
}

/// One database.
pub(super) struct Server {
    options: ConnectionString,
    login: Option<Credential>,
    tls: Option<Tls>,
    url: String,
    database: String,
    collections: Collections,
    send: Vec<Kinds>,
    client: Option<Client>,
}

impl Server {
    /// # Errors
    /// The url cannot be used.
    pub(super) fn new(table: &Config) -> Result<Server, String> {
        let options = parse(&table.url)?;
        let source = auth_source(&table.url);
        let login = table.username.clone().map(|name| {
            let password = table.password.as_ref().map(|password| password.expose().to_owned());
            Credential::builder().username(name).password(password).source(source).build()
        });
        let tls = |file| Tls::Enabled(TlsOptions::builder().ca_file_path(file).build());
        Ok(Server {
            options,
            login,
            tls: table.ca_file.clone().map(tls),
            url: table.url.clone(),
            database: table.database.clone(),
            collections: table.collections.clone(),
            send: table.send.clone(),
            client: None,
        })
    }

    /// Writes a batch, of one lane.
    pub(super) async fn write(&mut self, batch: &[Item]) -> Result<Vec<Outcome>, WriteError> {
        let lane = batch.first().map_or(Lane::Aggregates, |item| item.lane);
        let indexes = newest(batch);
        let items = indexes.iter().filter_map(|index| batch.get(*index));
        let command = command(lane, self.collections.of(lane), items);
        let answer = self.run(command).await.map_err(|(_, why)| WriteError::retry(why))?;
        let mut outcomes = vec![Outcome::Taken; batch.len()];
        for error in answer.get_array("writeErrors").into_iter().flatten().filter_map(Bson::as_document) {
            let code = error.get_i32("code").unwrap_or_default();
            let text = shown(error.get_str("errmsg").unwrap_or("no reason"));
            if PASSING.contains(&code) {
                return Err(WriteError::retry(format!("{}: {text} ({code})", self.url)));
            }
            let place = error.get_i32("index").ok().and_then(|index| usize::try_from(index).ok());
            let outcome =
                place.and_then(|place| indexes.get(place)).and_then(|index| outcomes.get_mut(*index));
            if let (Some(outcome), true) = (outcome, code != DUPLICATE_KEY) {
                *outcome = Outcome::Never(format!("{text} ({code})"));
            }
        }
        match answer.get_document("writeConcernError") {
            Ok(error) => {
                let text = shown(error.get_str("errmsg").unwrap_or("no reason"));
                Err(WriteError::retry(format!("{}: not on most members yet: {text}", self.url)))
            }
            Err(_) => Ok(outcomes),
        }
    }

    /// What is not as it should be: the key of the configuration, and why. Changes nothing in the database.
    pub(super) async fn probe(mut self) -> Result<(), (&'static str, String)> {
        for send in self.send.clone() {
            // No document has this id, and none is inserted: the server checks the login and what the user may do.
            let nothing =
                doc! { "q": { "_id": "riser check" }, "u": { "$set": { "a": 1 } }, "upsert": false };
            let name = self.collections.of(send.lane()).to_owned();
            self.run(doc! { "update": name, "updates": [nothing] }).await?;
        }
        Ok(())
    }

    async fn run(&mut self, command: Document) -> Result<Document, (&'static str, String)> {
        let client = match self.client.take() {
            Some(client) => client,
            None => self.connect().await.map_err(|error| self.failure(&error))?,
        };
        let client = self.client.insert(client);
        let answer = client.database(&self.database).run_command(command).await;
        answer.map_err(|error| self.failure(&error))
    }

    async fn connect(&self) -> Result<Client, Error> {
        let mut options = ClientOptions::parse(self.options.clone()).await?;
        options.app_name = Some("riser".to_owned());
        options.connect_timeout = Some(CONNECT_TIMEOUT);
        options.server_selection_timeout = Some(SELECT_TIMEOUT);
        options.max_pool_size = Some(MAX_CONNECTIONS);
        options.credential.clone_from(&self.login);
        if self.tls.is_some() {
            options.tls.clone_from(&self.tls);
        }
        Client::with_options(options)
    }

    /// What happened, what to do, and the key that is to blame.
    fn failure(&self, error: &Error) -> (&'static str, String) {
        let text = shown(&error.kind.to_string());
        let code = if let ErrorKind::Command(error) = &*error.kind { error.code } else { 0 };
        if matches!(&*error.kind, ErrorKind::Authentication { .. }) || matches!(code, 13 | 18) {
            return ("username", format!("{}: {text}; look at username and password_file", self.url));
        }
        let is_encrypted = self.tls.is_some() || matches!(self.options.tls, Some(Tls::Enabled(_)));
        // A server that wants TLS hangs up on a question that is not encrypted.
        let hung_up = ["reset by peer", "unexpected end of file"].iter().any(|words| text.contains(words));
        let remedy = if hung_up && !is_encrypted {
            "; does the server want TLS? Set ca_file or ?tls=true"
        } else {
            ""
        };
        ("url", format!("{}: {text}{remedy}", self.url))
    }
}

/// The database in which the user is looked up. The driver itself leaves it out where the url has no user.
fn auth_source(url: &str) -> String {
    let query = url.split_once('?').map_or("", |(_, query)| query);
    let mut parameters = url::form_urlencoded::parse(query.as_bytes());
    let given = parameters.find(|(name, _)| name.eq_ignore_ascii_case("authSource"));
    given.map_or_else(|| "admin".to_owned(), |(_, value)| value.into_owned())
}

/// Inserts alerts and readings; puts aggregates in the place of lower revisions. Where the same or a higher revision is there,
/// the filter does not find it, and the insertion fails because of its `_id`.
fn command<'a>(lane: Lane, collection: &str, items: impl Iterator<Item = &'a Item>) -> Document {
    let concern = doc! { "w": "majority", "j": true };
    let documents = items.map(document::of);
    if lane != Lane::Aggregates {
        let documents: Vec<Document> = documents.collect();
        return doc! { "insert": collection, "documents": documents, "ordered": false, "writeConcern": concern };
    }
    let update = |document: Document| {
        let id = document.get("_id").cloned().unwrap_or(Bson::Null);
        let revision = document.get("revision").cloned().unwrap_or(Bson::Int64(0));
        doc! { "q": { "_id": id, "revision": { "$lt": revision } }, "u": document, "upsert": true }
    };
    let updates: Vec<Document> = documents.map(update).collect();
    doc! { "update": collection, "updates": updates, "ordered": false, "writeConcern": concern }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_user_is_looked_up_where_the_url_says() {
        let source = |url: &str| {
            let table = serde_json::json!({ "url": url, "database": "b", "username": "u", "password": "p" });
            let server = Server::new(&serde_json::from_value(table).unwrap()).unwrap();
            server.login.unwrap().source.unwrap()
        };
        assert_eq!(source("mongodb://a,b/?replicaSet=r"), "admin");
        assert_eq!(source("mongodb://a/?replicaSet=r&authSource=my%20users"), "my users");
    }
}
