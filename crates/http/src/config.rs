//! `[http]`.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use gateway_core::settings::{HumanDuration, ListenAddress, Secret};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The web page of the gateway, its API under `/api/v1` and its metrics under `/metrics`. Without this table there are none.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "Http")]
pub struct Config {
    /// Address and port. Other than loopback it needs a password or tokens, and a certificate or `insecure`.
    #[schemars(with = "ListenAddress")]
    pub listen: SocketAddr,
    /// The password of those who may also act, such as acknowledge alerts; or its Argon2 hash. Better in `password_file`.
    pub password: Option<Secret>,
    /// A file with the password or its Argon2 hash. Relative to this file's directory.
    #[schemars(example = "http.password")]
    pub password_file: Option<PathBuf>,
    /// The password of those who may only look; or its Argon2 hash. Better in `view_password_file`.
    pub view_password: Option<Secret>,
    /// A file with the password of those who may only look.
    #[schemars(example = "http.view-password")]
    pub view_password_file: Option<PathBuf>,
    /// Programs that call the API: each sends its token as `Authorization: Bearer …`.
    pub tokens: BTreeMap<String, Token>,
    /// The page's certificate and its chain (PEM); `riser http certificate` makes one.
    #[schemars(example = "http.pem")]
    pub cert_file: Option<PathBuf>,
    /// The private key (PEM) of `cert_file`.
    #[schemars(example = "http.key")]
    pub key_file: Option<PathBuf>,
    /// Whether passwords and data may cross the network in the clear.
    pub insecure: bool,
    /// Further names by which browsers call this machine. Known without being told: its addresses, `localhost`, the host's name,
    /// alone and with `.local`. Any other name is refused, for it may be another site's trick (DNS rebinding).
    #[schemars(example = ["riser.example.com"])]
    pub hosts: Vec<String>,
    /// How long a login lasts without use.
    pub session: HumanDuration,
    /// The most connections at once; one address may have half of them, and gives its newest up for an address that has at least
    /// two fewer where none is left.
    #[schemars(range(min = 8, max = 10_000))]
    pub max_connections: usize,
}

/// A program that calls the API.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "HttpToken")]
pub struct Token {
    /// The token; better in `token_file`. At least 16 characters.
    pub token: Option<Secret>,
    /// A file with the token. Relative to this file's directory.
    #[schemars(example = "grafana.token")]
    pub token_file: Option<PathBuf>,
    /// What it may do.
    pub role: Role,
}

/// What somebody may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "HttpRole")]
pub enum Role {
    /// Look at everything but the configuration.
    #[default]
    View,
    /// Also acknowledge alerts and see the configuration.
    Operate,
}

impl Role {
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::View => "view",
            Self::Operate => "operate",
        }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8090)),
            password: None,
            password_file: None,
            view_password: None,
            view_password_file: None,
            tokens: BTreeMap::new(),
            cert_file: None,
            key_file: None,
            insecure: false,
            hosts: Vec::new(),
            session: HumanDuration::from_secs(7 * 86_400),
            max_connections: 256,
        }
    }
}

impl Config {
    /// Whether nobody has to say who he is: only on loopback.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.password.is_none() && self.view_password.is_none() && self.tokens.is_empty()
    }
}
