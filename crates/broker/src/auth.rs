//! Authentication and authorisation: mqtt5 asks at every CONNECT, PUBLISH and SUBSCRIBE.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, PoisonError, RwLock};

use gateway_core::Throttle;
use gateway_core::settings::Secret;
use mqtt5::broker::{AuthProvider, AuthResult};
use mqtt5::packet::connect::ConnectPacket;
use mqtt5::types::ReasonCode;
use tokio::time::Instant;
use tracing::warn;

use crate::acl::{covers, unshared, validate_filter};
use crate::broker::INTERNAL_CLIENT_PREFIX;
use crate::password::{Verifier, same};
use crate::{BrokerError, LOG_PERIOD, User};

type Answer<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// The internal user's name. Fixed, because mqtt5 gives a stored session back only to the user who made it.
pub(crate) const INTERNAL_USER: &str = "$riser";

/// All users and their permissions; replaced as a whole when the configuration is reloaded.
#[derive(Debug)]
pub struct Access {
    anonymous: bool,
    users: HashMap<String, UserEntry>,
}

#[derive(Debug)]
struct UserEntry {
    password: Verifier,
    publish: Vec<String>,
    subscribe: Vec<String>,
}

impl Access {
    /// The permissions of `users`, and whether clients without a user may do everything.
    ///
    /// # Errors
    /// A name, password or filter is invalid.
    pub fn new(anonymous: bool, users: Vec<User>) -> Result<Self, BrokerError> {
        let mut by_name = HashMap::with_capacity(users.len());
        for User { name, password, publish, subscribe } in users {
            let problem = match name.as_str() {
                "" => Some("empty"),
                INTERNAL_USER => Some("reserved"),
                _ if by_name.contains_key(&name) => Some("given twice"),
                _ => None,
            };
            if let Some(problem) = problem {
                return Err(BrokerError::UserName { name, problem });
            }
            password.check().map_err(|source| BrokerError::Password { user: name.clone(), source })?;
            for filter in publish.iter().chain(&subscribe) {
                validate_filter(filter)
                    .map_err(|source| BrokerError::Filter { user: name.clone(), source })?;
            }
            by_name.insert(name, UserEntry { password: Verifier::new(password), publish, subscribe });
        }
        Ok(Self { anonymous, users: by_name })
    }

    fn is_permitted(
        &self,
        user: Option<&str>,
        wanted: &str,
        permissions: impl Fn(&UserEntry) -> &[String],
    ) -> bool {
        match user {
            None => self.anonymous,
            Some(name) => self
                .users
                .get(name)
                .is_some_and(|user| permissions(user).iter().any(|allowed| covers(allowed, wanted))),
        }
    }

    /// The user's name (`None`: anonymous), or why the client is refused.
    async fn admit(&self, connect: &ConnectPacket) -> Result<Option<String>, &'static str> {
        if connect.client_id.starts_with(INTERNAL_CLIENT_PREFIX) {
            return Err("its client id is reserved for the gateway");
        }
        // As mosquitto: without any user configured, a name means nothing.
        let name = connect.username.as_ref().filter(|_| !(self.anonymous && self.users.is_empty()));
        let Some(name) = name else {
            return if self.anonymous { Ok(None) } else { Err("anonymous clients are not allowed") };
        };
        let Some(user) = self.users.get(name) else {
            return Err("there is no such user");
        };
        let password = connect.password.as_deref().unwrap_or_default();
        if user.password.accepts(password).await { Ok(Some(name.clone())) } else { Err("wrong password") }
    }
}

/// Checks clients of the public listeners.
#[derive(Debug)]
pub(crate) struct PublicAuth {
    access: RwLock<Arc<Access>>,
    refused_logins: Throttle,
    refused_topics: Throttle,
}

impl PublicAuth {
    pub(crate) fn new(access: Access) -> Self {
        Self {
            access: RwLock::new(Arc::new(access)),
            refused_logins: Throttle::new(LOG_PERIOD),
            refused_topics: Throttle::new(LOG_PERIOD),
        }
    }

    pub(crate) fn replace(&self, access: Access) {
        *self.access.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(access);
    }

    fn access(&self) -> Arc<Access> {
        Arc::clone(&self.access.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn log_refused_topic(&self, client: &str, user: Option<&str>, verb: &str, topic: &str) {
        if let Some(left_out) = self.refused_topics.allow(Instant::now().into_std()) {
            let user = user.unwrap_or("anonymous");
            warn!(
                client,
                user, topic, left_out, "broker: client may not {verb} this topic; see its user in [broker]"
            );
        }
    }
}

impl AuthProvider for PublicAuth {
    fn authenticate<'a>(
        &'a self,
        connect: &'a ConnectPacket,
        peer: SocketAddr,
    ) -> Answer<'a, mqtt5::error::Result<AuthResult>> {
        Box::pin(async move {
            let admitted = self.access().admit(connect).await;
            Ok(match admitted {
                Ok(Some(user)) => AuthResult::success_with_user(user),
                Ok(None) => AuthResult::success(),
                Err(reason) => {
                    if let Some(left_out) = self.refused_logins.allow(Instant::now().into_std()) {
                        let (client, user) = (&connect.client_id, connect.username.as_deref());
                        warn!(%peer, client, user, left_out, "broker: refused a client: {reason}");
                    }
                    AuthResult::fail(ReasonCode::BadUsernameOrPassword)
                }
            })
        })
    }

    fn authorize_publish<'a>(
        &'a self,
        client: &str,
        user: Option<&'a str>,
        topic: &'a str,
    ) -> Answer<'a, bool> {
        let allowed =
            !topic.starts_with("$SYS") && self.access().is_permitted(user, topic, |user| &user.publish);
        if !allowed {
            self.log_refused_topic(client, user, "publish to", topic);
        }
        Box::pin(std::future::ready(allowed))
    }

    fn authorize_subscribe<'a>(
        &'a self,
        client: &str,
        user: Option<&'a str>,
        filter: &'a str,
    ) -> Answer<'a, bool> {
        let allowed = self.access().is_permitted(user, unshared(filter), |user| &user.subscribe);
        if !allowed {
            self.log_refused_topic(client, user, "subscribe to", filter);
        }
        Box::pin(std::future::ready(allowed))
    }
}

/// Checks clients of the loopback listener: only the internal user, who may do everything.
#[derive(Debug)]
pub(crate) struct InternalAuth {
    password: Secret,
}

impl InternalAuth {
    pub(crate) fn new(password: Secret) -> Self {
        Self { password }
    }
}

impl AuthProvider for InternalAuth {
    fn authenticate<'a>(
        &'a self,
        connect: &'a ConnectPacket,
        _peer: SocketAddr,
    ) -> Answer<'a, mqtt5::error::Result<AuthResult>> {
        let password = connect.password.as_deref().unwrap_or_default();
        let is_internal = connect.username.as_deref() == Some(INTERNAL_USER)
            && same(self.password.expose().as_bytes(), password);
        let result = if is_internal {
            AuthResult::success_with_user(INTERNAL_USER)
        } else {
            AuthResult::fail(ReasonCode::BadUsernameOrPassword)
        };
        Box::pin(std::future::ready(Ok(result)))
    }

    fn authorize_publish<'a>(&'a self, _: &str, _: Option<&'a str>, _: &'a str) -> Answer<'a, bool> {
        Box::pin(std::future::ready(true))
    }

    fn authorize_subscribe<'a>(&'a self, _: &str, _: Option<&'a str>, _: &'a str) -> Answer<'a, bool> {
        Box::pin(std::future::ready(true))
    }
}
