//! Who may connect, and what each may publish and read.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, PoisonError, RwLock};

use broker_engine::Policy;
use broker_engine::packet::Connect;
use broker_engine::reason::Reason;
use credentials::{Checked, Verifier};

use crate::acl::{Permission, validate_filter};
use crate::{BrokerError, INTERNAL_CLIENT_PREFIX, Settings, User};

/// All users and their permissions; replaced as a whole when the configuration is reloaded.
#[derive(Debug)]
pub struct Access {
    /// What clients without a user may do; `None`: not even connect.
    anonymous: Option<Permissions>,
    users: HashMap<String, UserEntry>,
    /// The common name of a client's certificate is its user name.
    user_from_certificate: bool,
}

#[derive(Debug)]
struct UserEntry {
    password: Verifier,
    permissions: Permissions,
}

#[derive(Debug)]
struct Permissions {
    publish: Vec<Permission>,
    subscribe: Vec<Permission>,
}

/// Why a client is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) reason: Reason,
    pub(crate) why: &'static str,
}

const fn wrong(why: &'static str) -> Refusal {
    Refusal { reason: Reason::BadUserNameOrPassword, why }
}

impl Permissions {
    fn new(user: &str, publish: &[String], subscribe: &[String]) -> Result<Self, BrokerError> {
        for filter in publish.iter().chain(subscribe) {
            validate_filter(filter)
                .map_err(|source| BrokerError::Filter { user: user.to_owned(), source })?;
        }
        let permissions = |filters: &[String]| filters.iter().map(|one| Permission::new(one)).collect();
        Ok(Self { publish: permissions(publish), subscribe: permissions(subscribe) })
    }
}

impl Access {
    /// The users and permissions of `settings`.
    ///
    /// # Errors
    /// A name, password or filter is invalid.
    pub fn new(settings: &Settings) -> Result<Self, BrokerError> {
        let mut users = HashMap::with_capacity(settings.users.len());
        for User { name, password, publish, subscribe } in settings.users.clone() {
            let problem = match name.as_str() {
                "" => Some("empty"),
                _ if users.contains_key(&name) => Some("given twice"),
                _ => None,
            };
            if let Some(problem) = problem {
                return Err(BrokerError::UserName { name, problem });
            }
            password.check().map_err(|source| BrokerError::Password { user: name.clone(), source })?;
            let permissions = Permissions::new(&name, &publish, &subscribe)?;
            users.insert(name, UserEntry { password: Verifier::new(password), permissions });
        }
        let everything = ["#".to_owned(), "$SYS/#".to_owned()];
        let or_everything =
            |filters: &Option<Vec<String>>| filters.clone().unwrap_or_else(|| everything.to_vec());
        let anonymous = match settings.anonymous {
            false => None,
            true => {
                let publish = or_everything(&settings.anonymous_publish);
                let subscribe = or_everything(&settings.anonymous_subscribe);
                Some(Permissions::new("anonymous", &publish, &subscribe)?)
            }
        };
        Ok(Self { anonymous, users, user_from_certificate: settings.user_from_certificate })
    }

    /// The user's name (`None`: anonymous), or why the client is refused.
    pub(crate) async fn admit(
        &self,
        connect: &Connect<'_>,
        certificate: Option<String>,
        peer: IpAddr,
    ) -> Result<Option<String>, Refusal> {
        if connect.client_id.starts_with(INTERNAL_CLIENT_PREFIX) {
            let reason = Reason::ClientIdentifierNotValid;
            return Err(Refusal { reason, why: "its client id is reserved for the gateway" });
        }
        if self.user_from_certificate
            && let Some(name) = certificate
        {
            let known = self.users.contains_key(&name);
            return if known { Ok(Some(name)) } else { Err(wrong("its certificate names no user")) };
        }
        // As mosquitto: without any user configured, a name means nothing.
        let name = connect.user.filter(|_| !(self.anonymous.is_some() && self.users.is_empty()));
        let Some(name) = name else {
            return if self.anonymous.is_some() {
                Ok(None)
            } else {
                Err(Refusal { reason: Reason::NotAuthorized, why: "anonymous clients are not allowed" })
            };
        };
        let Some(user) = self.users.get(name) else {
            return Err(wrong("there is no such user"));
        };
        match user.password.check(connect.password.unwrap_or_default(), peer).await {
            Checked::Right => Ok(Some(name.to_owned())),
            Checked::Wrong => Err(wrong("wrong password")),
            Checked::Busy => Err(Refusal {
                reason: Reason::ServerBusy,
                why: "too many passwords of this address are being checked",
            }),
        }
    }

    fn permissions(&self, user: Option<&str>) -> Option<&Permissions> {
        match user {
            None => self.anonymous.as_ref(),
            Some(name) => self.users.get(name).map(|user| &user.permissions),
        }
    }
}

/// The access in force.
#[derive(Debug)]
pub(crate) struct Auth {
    access: RwLock<Arc<Access>>,
}

impl Auth {
    pub(crate) fn new(access: Access) -> Self {
        Self { access: RwLock::new(Arc::new(access)) }
    }

    pub(crate) fn replace(&self, access: Access) {
        *self.access.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(access);
    }

    pub(crate) fn access(&self) -> Arc<Access> {
        Arc::clone(&self.access.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Policy for Auth {
    fn may_publish(&self, user: Option<&str>, client: &str, topic: &str) -> bool {
        let access = self.access.read().unwrap_or_else(PoisonError::into_inner);
        let permissions = access.permissions(user);
        permissions.is_some_and(|one| one.publish.iter().any(|allowed| allowed.covers(topic, user, client)))
    }

    fn may_subscribe(&self, user: Option<&str>, client: &str, filter: &str) -> bool {
        let access = self.access.read().unwrap_or_else(PoisonError::into_inner);
        let permissions = access.permissions(user);
        permissions
            .is_some_and(|one| one.subscribe.iter().any(|allowed| allowed.covers(filter, user, client)))
    }

    fn admits(&self, user: Option<&str>) -> bool {
        self.access.read().unwrap_or_else(PoisonError::into_inner).permissions(user).is_some()
    }
}
