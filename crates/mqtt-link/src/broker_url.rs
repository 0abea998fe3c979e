//! The address of a broker: `mqtt://host:1883`, `mqtts`, `ws` or `wss`, with default ports.

use std::fmt;
use std::str::FromStr;

use url::Url;

/// The transport.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// TCP, port 1883.
    Mqtt,
    /// TLS, port 8883.
    Mqtts,
    /// WebSocket, port 80.
    Ws,
    /// WebSocket over TLS, port 443.
    Wss,
}

impl Scheme {
    const ALL: [(Self, &'static str, u16); 4] = [
        (Self::Mqtt, "mqtt", 1883),
        (Self::Mqtts, "mqtts", 8883),
        (Self::Ws, "ws", 80),
        (Self::Wss, "wss", 443),
    ];

    /// The name in a URL.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Mqtt => "mqtt",
            Self::Mqtts => "mqtts",
            Self::Ws => "ws",
            Self::Wss => "wss",
        }
    }
}

/// Not the address of a broker.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BrokerUrlError {
    /// Not a URL, or without a host.
    #[error("`{text}` is not a broker's address ({reason}); write it like mqtts://broker.example.com:8883")]
    Malformed { text: String, reason: String },
    #[error("`{scheme}` is not a way to a broker; write mqtt, mqtts (TLS), ws or wss (WebSocket)")]
    Scheme { scheme: String },
    /// `user:password@`, which would be printed with the address.
    #[error("credentials do not belong in the address; write username and password_file beside it")]
    Credentials,
    /// A path, which MQTT over TCP does not use.
    #[error("`{path}` after the broker's address has no meaning for mqtt and mqtts; leave it out")]
    Path { path: String },
}

/// Contains no secret, so it may be printed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrokerUrl {
    scheme: Scheme,
    host: String,
    port: u16,
    path: String,
}

impl BrokerUrl {
    #[must_use]
    pub const fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// A name or an IP address; an IPv6 address without brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    #[must_use]
    pub const fn is_tls(&self) -> bool {
        matches!(self.scheme, Scheme::Mqtts | Scheme::Wss)
    }

    #[must_use]
    pub const fn is_websocket(&self) -> bool {
        matches!(self.scheme, Scheme::Ws | Scheme::Wss)
    }
}

impl FromStr for BrokerUrl {
    type Err = BrokerUrlError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let malformed = |reason: &str| BrokerUrlError::Malformed {
            text: without_credentials(text).chars().take(256).collect(),
            reason: reason.to_owned(),
        };
        let url = Url::parse(text.trim()).map_err(|error| malformed(&error.to_string()))?;
        let Some((scheme, _, usual_port)) =
            Scheme::ALL.into_iter().find(|(_, name, _)| *name == url.scheme())
        else {
            return Err(BrokerUrlError::Scheme { scheme: url.scheme().to_owned() });
        };
        if !url.username().is_empty() || url.password().is_some() {
            return Err(BrokerUrlError::Credentials);
        }
        let host = url.host_str().filter(|host| !host.is_empty()).ok_or_else(|| malformed("no host"))?;
        let path = path_of(&url, scheme)?;
        Ok(Self {
            scheme,
            host: host.trim_start_matches('[').trim_end_matches(']').to_owned(),
            port: url.port().unwrap_or(usual_port),
            path,
        })
    }
}

/// The path of a WebSocket. `/mqtt` is what all brokers but mosquitto expect; mosquitto accepts any.
fn path_of(url: &Url, scheme: Scheme) -> Result<String, BrokerUrlError> {
    let path = url.query().map_or_else(|| url.path().to_owned(), |query| format!("{}?{query}", url.path()));
    let given = !matches!(path.as_str(), "" | "/");
    match scheme {
        Scheme::Ws | Scheme::Wss => Ok(if given { path } else { "/mqtt".to_owned() }),
        Scheme::Mqtt | Scheme::Mqtts if given => Err(BrokerUrlError::Path { path }),
        Scheme::Mqtt | Scheme::Mqtts => Ok(String::new()),
    }
}

/// The part that may appear in an error message.
fn without_credentials(text: &str) -> &str {
    text.rsplit_once('@').map_or(text, |(_, address)| address)
}

impl fmt::Display for BrokerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (open, close) = if self.host.contains(':') { ("[", "]") } else { ("", "") };
        write!(f, "{}://{open}{}{close}:{}{}", self.scheme.as_str(), self.host, self.port, self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> String {
        text.parse::<BrokerUrl>().unwrap().to_string()
    }

    #[test]
    fn each_scheme_has_its_usual_port() {
        assert_eq!(parsed("mqtt://cloud"), "mqtt://cloud:1883");
        assert_eq!(parsed("mqtts://cloud/"), "mqtts://cloud:8883");
        assert_eq!(parsed("ws://cloud"), "ws://cloud:80/mqtt");
        assert_eq!(parsed("wss://cloud"), "wss://cloud:443/mqtt");
        assert_eq!(parsed("ws://cloud:9001/a?b=c"), "ws://cloud:9001/a?b=c");
    }

    #[test]
    fn an_ipv6_address_keeps_its_brackets_only_in_the_url() {
        let url: BrokerUrl = "mqtt://[::1]:1884".parse().unwrap();
        assert_eq!((url.host(), url.port()), ("::1", 1884));
        assert_eq!(url.to_string(), "mqtt://[::1]:1884");
    }

    #[test]
    fn what_is_wrong_is_named() {
        let error = |text: &str| text.parse::<BrokerUrl>().unwrap_err().to_string();
        assert!(error("http://cloud").contains("`http`"));
        assert!(error("cloud:1883").contains("mqtts"), "{}", error("cloud:1883"));
        assert!(error("mqtt://").contains("mqtts://broker.example.com:8883"));
        assert!(error("mqtt://cloud/topic").contains("`/topic`"));
        assert!(error("mqtt://joe:hunter2@cloud").contains("password_file"));
        assert!(!error("mqtt://joe:hunter2@cloud:99999").contains("hunter2"));
    }
}
