//! A request as the owner of an engine sees it: typed, with its whole body.

use bytes::Bytes;
use coap_lite::Packet;

use crate::code::{ContentFormat, Method};
use crate::options::{self, ETag};

/// A request, received or to be sent. The engine handles Block options, Echo and Request-Tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    pub method: Method,
    /// Uri-Path: the decoded segments; empty for the root.
    pub path: Vec<String>,
    /// Uri-Query: the decoded parameters, usually `name=value`.
    pub query: Vec<String>,
    /// Uri-Host.
    pub host: Option<String>,
    /// Uri-Port.
    pub port: Option<u16>,
    /// Content-Format of the payload.
    pub content_format: Option<ContentFormat>,
    /// Accept: the only format that the client accepts.
    pub accept: Option<ContentFormat>,
    /// ETag: states that the client has. The engine answers a GET with 2.03 if one is still valid.
    pub etags: Vec<ETag>,
    /// If-Match; `None` without the option. An empty tag in it means that the resource must exist in any state.
    pub if_match: Option<Vec<ETag>>,
    /// If-None-Match: only if the resource does not exist.
    pub if_none_match: bool,
    pub observe: Option<Observe>,
    /// CON rather than NON.
    pub confirmable: bool,
    /// The whole body, reassembled from its blocks.
    pub payload: Bytes,
}

/// The Observe option of a GET (RFC 7641, 2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Observe {
    /// 0: register as an observer.
    Register,
    /// 1: deregister.
    Deregister,
}

impl Request {
    /// A confirmable request for a path such as `sensors/ahu-3`, without options.
    ///
    /// Empty segments at both ends are ignored: `/sensors/ahu-3/` is the same path.
    #[must_use]
    pub fn new(method: Method, path: &str) -> Self {
        let path = path.trim_matches('/');
        let path = if path.is_empty() { Vec::new() } else { path.split('/').map(String::from).collect() };
        Self {
            method,
            path,
            query: Vec::new(),
            host: None,
            port: None,
            content_format: None,
            accept: None,
            etags: Vec::new(),
            if_match: None,
            if_none_match: false,
            observe: None,
            confirmable: true,
            payload: Bytes::new(),
        }
    }

    /// Adds a payload and its content format.
    #[must_use]
    pub fn with_payload(mut self, format: ContentFormat, payload: impl Into<Bytes>) -> Self {
        self.content_format = Some(format);
        self.payload = payload.into();
        self
    }

    /// Reads the typed options of `packet`, whose critical options are known to be well-formed.
    ///
    /// `None` if a path or query is not UTF-8, or a path segment is `.` or `..` (RFC 7252, 5.10.1).
    pub(crate) fn from_packet(method: Method, confirmable: bool, packet: &Packet) -> Option<Self> {
        let path = texts(packet, options::URI_PATH)?;
        if path.iter().any(|segment| segment == "." || segment == "..") {
            return None;
        }
        let tags = |number| options::values(packet, number).filter_map(ETag::new).collect();
        Some(Self {
            method,
            path,
            query: texts(packet, options::URI_QUERY)?,
            host: texts(packet, options::URI_HOST)?.pop(),
            port: short(packet, options::URI_PORT),
            content_format: short(packet, options::CONTENT_FORMAT).map(ContentFormat),
            accept: short(packet, options::ACCEPT).map(ContentFormat),
            etags: tags(options::ETAG),
            if_match: options::value(packet, options::IF_MATCH).map(|_| tags(options::IF_MATCH)),
            if_none_match: options::value(packet, options::IF_NONE_MATCH).is_some(),
            observe: Observe::of(method, packet),
            confirmable,
            payload: Bytes::new(),
        })
    }

    /// The options, without the payload and without those that the engine adds.
    pub(crate) fn to_packet(&self) -> Packet {
        let mut packet = Packet::new();
        for tag in self.if_match.iter().flatten() {
            options::add(&mut packet, options::IF_MATCH, tag.as_bytes());
        }
        if self.if_match.as_ref().is_some_and(Vec::is_empty) {
            options::add(&mut packet, options::IF_MATCH, &[]);
        }
        if let Some(host) = &self.host {
            options::add(&mut packet, options::URI_HOST, host.as_bytes());
        }
        for tag in &self.etags {
            options::add(&mut packet, options::ETAG, tag.as_bytes());
        }
        if self.if_none_match {
            options::add(&mut packet, options::IF_NONE_MATCH, &[]);
        }
        for segment in &self.path {
            options::add(&mut packet, options::URI_PATH, segment.as_bytes());
        }
        for argument in &self.query {
            options::add(&mut packet, options::URI_QUERY, argument.as_bytes());
        }
        for (number, value) in [
            (options::URI_PORT, self.port),
            (options::CONTENT_FORMAT, self.content_format.map(|format| format.0)),
            (options::ACCEPT, self.accept.map(|format| format.0)),
        ] {
            if let Some(value) = value {
                options::add_number(&mut packet, number, u32::from(value));
            }
        }
        packet
    }

    /// Whether each text and tag fits into its option.
    pub(crate) fn is_encodable(&self) -> bool {
        let fits = |text: &String| text.len() <= 255;
        self.path.iter().chain(&self.query).chain(&self.host).all(fits) && self.host.as_deref() != Some("")
    }
}

impl Observe {
    pub(crate) const REGISTER: u32 = 0;
    pub(crate) const DEREGISTER: u32 = 1;

    fn of(method: Method, packet: &Packet) -> Option<Self> {
        match options::number(packet, options::OBSERVE) {
            Some(Self::REGISTER) if method.is_safe() => Some(Self::Register),
            Some(Self::DEREGISTER) if method.is_safe() => Some(Self::Deregister),
            _ => None,
        }
    }
}

fn texts(packet: &Packet, number: u16) -> Option<Vec<String>> {
    options::values(packet, number).map(|value| std::str::from_utf8(value).ok().map(String::from)).collect()
}

fn short(packet: &Packet, number: u16) -> Option<u16> {
    options::number(packet, number).and_then(|value| u16::try_from(value).ok())
}
