//! A request, as its owner sees it: typed, whole, and without what the protocol needs for itself.

use bytes::Bytes;
use coap_lite::Packet;

use crate::code::{ContentFormat, Method};
use crate::options::{self, ETag};

/// A request, received or to be sent. Block options, Echo and Request-Tag are the engine's and not seen here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// What is asked for.
    pub method: Method,
    /// Uri-Path: the segments, decoded; none for the root.
    pub path: Vec<String>,
    /// Uri-Query: the arguments, by custom `name=value`, decoded.
    pub query: Vec<String>,
    /// Uri-Host, where the client names one.
    pub host: Option<String>,
    /// Uri-Port, where the client names one.
    pub port: Option<u16>,
    /// What the payload is.
    pub content_format: Option<ContentFormat>,
    /// Accept: the only format that the client takes.
    pub accept: Option<ContentFormat>,
    /// ETag: states of the resource that the client has; the engine answers a GET with 2.03 where one is still right.
    pub etags: Vec<ETag>,
    /// If-Match, `None` without the option; an empty list inside: any state will do, but there must be one.
    pub if_match: Option<Vec<ETag>>,
    /// If-None-Match: only if there is no such resource yet.
    pub if_none_match: bool,
    /// Observe.
    pub observe: Option<Observe>,
    /// CON rather than NON.
    pub confirmable: bool,
    /// The whole body, put together from its blocks.
    pub payload: Bytes,
}

/// What a GET says on following a resource (RFC 7641, 2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Observe {
    /// 0: tell me of every change from now on.
    Register,
    /// 1: no longer.
    Deregister,
}

impl Request {
    /// A confirmable request for a path such as `sensors/ahu-3`, without anything else.
    ///
    /// Empty segments at the ends are left out, so that `/sensors/ahu-3/` is the same path.
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

    /// The same with a body and what it is.
    #[must_use]
    pub fn with_payload(mut self, format: ContentFormat, payload: impl Into<Bytes>) -> Self {
        self.content_format = Some(format);
        self.payload = payload.into();
        self
    }

    /// Takes the typed options out of `packet`, whose critical options are already known to keep their rules.
    ///
    /// `None` where a path or query is not UTF-8, or a path segment is `.` or `..` (RFC 7252, 5.10.1).
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

    /// The options, without the payload and what the protocol adds.
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

    /// Whether every text and tag fits its option.
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
