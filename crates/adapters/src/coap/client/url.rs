//! `coap://` and `coaps://` addresses of resources, as RFC 7252, 6, writes them.

use std::fmt;
use std::str::FromStr;

/// The longest address taken, in bytes.
const LONGEST: usize = 1_024;
/// The longest path segment or argument, in bytes (RFC 7252, 5.10).
const LONGEST_PART: usize = 255;

/// A resource of a device: where it is and what it is called there.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CoapUrl {
    text: Box<str>,
    secured: bool,
    host: Box<str>,
    port: u16,
    path: Vec<String>,
    query: Vec<String>,
}

/// Why a text is no such address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// Another scheme, or none.
    #[error("is not a CoAP address; write it as coap://10.0.0.9/temperature, or with coaps:// over DTLS")]
    Scheme,
    /// Nothing to connect to, or no name or address.
    #[error("names no host; write it as coap://10.0.0.9/temperature")]
    Host,
    /// Not 1 to 65535.
    #[error("has no port between 1 and 65535 behind the host's colon")]
    Port,
    /// `#…`
    #[error("has a fragment (#…), which CoAP cannot ask for; leave it out, or write # as %23")]
    Fragment,
    /// A name and password before the host.
    #[error("has a user name (…@), which CoAP does not know; leave it out")]
    User,
    /// `%` and not two hexadecimal digits, or no UTF-8.
    #[error("has a % that does not begin the two hexadecimal digits of a byte of UTF-8 text")]
    Percent,
    /// Spaces or control characters.
    #[error("holds a space or a control character; write it with %, a space as %20")]
    Space,
    /// Too long to send.
    #[error("is too long: {LONGEST_PART} bytes are allowed for a part of the path, {LONGEST} in all")]
    Long,
}

impl CoapUrl {
    /// Whether it is asked over DTLS.
    #[must_use]
    pub const fn is_secured(&self) -> bool {
        self.secured
    }

    /// A name or an IP address, without brackets; a link-local one with its `%interface`.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port: where none is written, 5683, over DTLS 5684.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// The segments of the path, decoded.
    #[must_use]
    pub fn path(&self) -> &[String] {
        &self.path
    }

    /// The arguments behind `?`, decoded.
    #[must_use]
    pub fn query(&self) -> &[String] {
        &self.query
    }

    /// The host if it is a name; the request contains it as Uri-Host (RFC 7252, 6.4).
    #[must_use]
    pub fn host_name(&self) -> Option<&str> {
        let is_address = self.host.contains(':') || self.host.parse::<std::net::IpAddr>().is_ok();
        (!is_address).then_some(&*self.host)
    }
}

impl FromStr for CoapUrl {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Self, UrlError> {
        if text.len() > LONGEST {
            return Err(UrlError::Long);
        }
        if text.contains(|c: char| c.is_whitespace() || c.is_control()) {
            return Err(UrlError::Space);
        }
        if text.contains('#') {
            return Err(UrlError::Fragment);
        }
        let (scheme, rest) = text.split_once("://").ok_or(UrlError::Scheme)?;
        let secured = match scheme.to_ascii_lowercase().as_str() {
            "coap" => false,
            "coaps" => true,
            _ => return Err(UrlError::Scheme),
        };
        let (rest, query) = rest.split_once('?').map_or((rest, None), |(rest, query)| (rest, Some(query)));
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        if authority.contains('@') {
            return Err(UrlError::User);
        }
        let (host, port) = split_authority(authority)?;
        let path = if path.is_empty() { Vec::new() } else { parts(path, '/')? };
        Ok(Self {
            text: text.into(),
            secured,
            host: host.into(),
            port: port.unwrap_or(if secured { 5684 } else { 5683 }),
            path,
            query: query.map_or(Ok(Vec::new()), |query| parts(query, '&'))?,
        })
    }
}

impl fmt::Display for CoapUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// The host, decoded and in lower case, and the port where there is one.
fn split_authority(authority: &str) -> Result<(String, Option<u16>), UrlError> {
    let (host, rest) = match authority.strip_prefix('[') {
        Some(bracketed) => bracketed.split_once(']').ok_or(UrlError::Host)?,
        None => authority.split_at(authority.find(':').unwrap_or(authority.len())),
    };
    let bracketed = authority.starts_with('[');
    let mut host = decoded(host)?;
    // What is behind the first % is an interface's name.
    let address = host.find('%').unwrap_or(host.len());
    if let Some(address) = host.get_mut(..address) {
        address.make_ascii_lowercase();
    }
    let address = host.get(..address).unwrap_or_default();
    if host.is_empty() || bracketed != address.parse::<std::net::Ipv6Addr>().is_ok() {
        return Err(UrlError::Host);
    }
    let port = match rest.strip_prefix(':') {
        None if rest.is_empty() => None,
        None => return Err(UrlError::Host),
        Some("") => None,
        Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
            Some(digits.parse().ok().filter(|port| *port != 0).ok_or(UrlError::Port)?)
        }
        Some(_) => return Err(UrlError::Port),
    };
    Ok((host, port))
}

fn parts(text: &str, separator: char) -> Result<Vec<String>, UrlError> {
    let parts = text.split(separator).map(decoded).collect::<Result<Vec<_>, _>>()?;
    if parts.iter().any(|part| part.len() > LONGEST_PART) {
        return Err(UrlError::Long);
    }
    Ok(parts)
}

fn decoded(text: &str) -> Result<String, UrlError> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let digit = |byte: Option<u8>| byte.and_then(|byte| char::from(byte).to_digit(16));
        let (Some(high), Some(low)) = (digit(rest.next()), digit(rest.next())) else {
            return Err(UrlError::Percent);
        };
        bytes.push(u8::try_from(high << 4 | low).map_err(|_| UrlError::Percent)?);
    }
    String::from_utf8(bytes).map_err(|_| UrlError::Percent)
}

#[cfg(test)]
mod tests;
