//! A response as the owner of an engine sees it: typed, with its whole body.

use std::time::Duration;

use bytes::Bytes;
use coap_lite::Packet;

use crate::code::{Code, ContentFormat};
use crate::options::{self, ETag};

/// A response, received or to be sent. The engine handles Block options, Observe and Echo.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    pub code: Code,
    /// Content-Format of the payload.
    pub content_format: Option<ContentFormat>,
    /// ETag: the state of the resource.
    pub etag: Option<ETag>,
    /// Max-Age in whole seconds; 60 s if absent (RFC 7252, 5.10.5).
    pub max_age: Option<Duration>,
    /// Location-Path of the created resource.
    pub location: Vec<String>,
    /// Size1 of a 4.13: the largest accepted body.
    pub size1: Option<u32>,
    /// The whole body, or a diagnostic message if the code is an error.
    pub payload: Bytes,
}

impl Response {
    /// A response with a code and nothing else.
    #[must_use]
    pub const fn new(code: Code) -> Self {
        Self {
            code,
            content_format: None,
            etag: None,
            max_age: None,
            location: Vec::new(),
            size1: None,
            payload: Bytes::new(),
        }
    }

    /// 2.05 with a body.
    #[must_use]
    pub fn content(format: ContentFormat, payload: impl Into<Bytes>) -> Self {
        Self { content_format: Some(format), payload: payload.into(), ..Self::new(Code::CONTENT) }
    }

    /// An error with a diagnostic message.
    #[must_use]
    pub fn error(code: Code, text: impl Into<Bytes>) -> Self {
        Self { payload: text.into(), ..Self::new(code) }
    }

    /// Adds a Max-Age: how long it is fresh, or when to try again.
    #[must_use]
    pub const fn with_max_age(mut self, max_age: Duration) -> Self {
        self.max_age = Some(max_age);
        self
    }

    /// Adds an ETag.
    #[must_use]
    pub fn with_etag(mut self, etag: ETag) -> Self {
        self.etag = Some(etag);
        self
    }

    /// How long it is fresh; the default if Max-Age is absent.
    #[must_use]
    pub fn freshness(&self) -> Duration {
        self.max_age.unwrap_or(Duration::from_secs(60))
    }

    pub(crate) fn from_packet(code: Code, packet: &Packet) -> Self {
        let short = |number| options::number(packet, number).and_then(|value| u16::try_from(value).ok());
        let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
        Self {
            code,
            content_format: short(options::CONTENT_FORMAT).map(ContentFormat),
            etag: options::value(packet, options::ETAG).and_then(ETag::new),
            max_age: options::number(packet, options::MAX_AGE)
                .map(|seconds| Duration::from_secs(seconds.into())),
            location: options::values(packet, options::LOCATION_PATH).map(text).collect(),
            size1: options::number(packet, options::SIZE1),
            payload: Bytes::new(),
        }
    }

    /// The options, without the payload and without those that the engine adds.
    pub(crate) fn to_packet(&self) -> Packet {
        let mut packet = Packet::new();
        if let Some(etag) = &self.etag {
            options::add(&mut packet, options::ETAG, etag.as_bytes());
        }
        for segment in self.location.iter().filter(|segment| segment.len() <= 255) {
            options::add(&mut packet, options::LOCATION_PATH, segment.as_bytes());
        }
        if let Some(format) = self.content_format {
            options::add_number(&mut packet, options::CONTENT_FORMAT, format.0.into());
        }
        if let Some(max_age) = self.max_age {
            let seconds = u32::try_from(max_age.as_secs()).unwrap_or(u32::MAX);
            options::add_number(&mut packet, options::MAX_AGE, seconds);
        }
        if let Some(size1) = self.size1 {
            options::add_number(&mut packet, options::SIZE1, size1);
        }
        packet
    }
}
