//! Codes, methods and content formats: the registered numbers of RFC 7252, 12.1 and 12.3.

use std::fmt;

/// A message code: a class of 3 bits and a detail of 5 bits, displayed as `2.05`.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Code(u8);

impl Code {
    /// An empty message: ping, empty acknowledgement or reset.
    pub const EMPTY: Self = Self::new(0, 0);
    /// 2.01
    pub const CREATED: Self = Self::new(2, 1);
    /// 2.02
    pub const DELETED: Self = Self::new(2, 2);
    /// 2.03: the state with this ETag is still valid.
    pub const VALID: Self = Self::new(2, 3);
    /// 2.04
    pub const CHANGED: Self = Self::new(2, 4);
    /// 2.05
    pub const CONTENT: Self = Self::new(2, 5);
    /// 2.31: send the next block.
    pub const CONTINUE: Self = Self::new(2, 31);
    /// 4.00
    pub const BAD_REQUEST: Self = Self::new(4, 0);
    /// 4.01; with an Echo option: repeat the request with it (RFC 9175).
    pub const UNAUTHORIZED: Self = Self::new(4, 1);
    /// 4.02: an unknown critical option.
    pub const BAD_OPTION: Self = Self::new(4, 2);
    /// 4.03
    pub const FORBIDDEN: Self = Self::new(4, 3);
    /// 4.04
    pub const NOT_FOUND: Self = Self::new(4, 4);
    /// 4.05
    pub const METHOD_NOT_ALLOWED: Self = Self::new(4, 5);
    /// 4.06: no representation in the format of the Accept option.
    pub const NOT_ACCEPTABLE: Self = Self::new(4, 6);
    /// 4.08: a block is missing.
    pub const REQUEST_ENTITY_INCOMPLETE: Self = Self::new(4, 8);
    /// 4.12: If-Match or If-None-Match is not fulfilled.
    pub const PRECONDITION_FAILED: Self = Self::new(4, 12);
    /// 4.13
    pub const REQUEST_ENTITY_TOO_LARGE: Self = Self::new(4, 13);
    /// 4.15
    pub const UNSUPPORTED_CONTENT_FORMAT: Self = Self::new(4, 15);
    /// 4.29
    pub const TOO_MANY_REQUESTS: Self = Self::new(4, 29);
    /// 5.00
    pub const INTERNAL_SERVER_ERROR: Self = Self::new(5, 0);
    /// 5.03: overloaded; Max-Age says when to try again.
    pub const SERVICE_UNAVAILABLE: Self = Self::new(5, 3);
    /// 5.05
    pub const PROXYING_NOT_SUPPORTED: Self = Self::new(5, 5);

    /// The code `class.detail`; excess bits are cut off.
    #[must_use]
    pub const fn new(class: u8, detail: u8) -> Self {
        Self((class & 0b111) << 5 | (detail & 0b1_1111))
    }

    /// The code of this byte on the wire.
    #[must_use]
    pub const fn from_byte(byte: u8) -> Self {
        Self(byte)
    }

    /// The byte on the wire.
    #[must_use]
    pub const fn byte(self) -> u8 {
        self.0
    }

    /// 0 request, 2 success, 4 client error, 5 server error; others are reserved.
    #[must_use]
    pub const fn class(self) -> u8 {
        self.0 >> 5
    }

    /// Whether it is a request code, of a known method or not.
    #[must_use]
    pub const fn is_request(self) -> bool {
        self.class() == 0 && self.0 != 0
    }

    /// Whether it is a response code, assigned or not.
    #[must_use]
    pub const fn is_response(self) -> bool {
        matches!(self.class(), 2 | 4 | 5)
    }

    /// Whether this is a 2.xx response.
    #[must_use]
    pub const fn is_success(self) -> bool {
        self.class() == 2
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:02}", self.class(), self.0 & 0b1_1111)
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Code({self})")
    }
}

/// A request method (RFC 7252, 5.8; RFC 8132).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Method {
    /// Read; safe to ask twice.
    Get = 1,
    /// Hand over something to process.
    Post = 2,
    /// Store under this name.
    Put = 3,
    /// Remove.
    Delete = 4,
    /// Read what the body describes; safe to ask twice.
    Fetch = 5,
    /// Change in part.
    Patch = 6,
    /// Change in part; asking twice changes nothing more.
    IPatch = 7,
}

impl Method {
    /// The method with this code; `None` if it is unknown.
    #[must_use]
    pub const fn of(code: Code) -> Option<Self> {
        Some(match code.byte() {
            1 => Self::Get,
            2 => Self::Post,
            3 => Self::Put,
            4 => Self::Delete,
            5 => Self::Fetch,
            6 => Self::Patch,
            7 => Self::IPatch,
            _ => return None,
        })
    }

    /// The method's code on the wire.
    #[must_use]
    pub const fn code(self) -> Code {
        Code::from_byte(self as u8)
    }

    /// Whether the method is safe (RFC 7252, 5.1): it changes nothing, so it may be repeated.
    #[must_use]
    pub const fn is_safe(self) -> bool {
        matches!(self, Self::Get | Self::Fetch)
    }
}

/// A content format by its registered number; unknown numbers are allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ContentFormat(pub u16);

impl ContentFormat {
    /// `text/plain; charset=utf-8`
    pub const TEXT: Self = Self(0);
    /// `application/link-format` (RFC 6690)
    pub const LINK_FORMAT: Self = Self(40);
    /// `application/octet-stream`
    pub const OCTETS: Self = Self(42);
    /// `application/json`
    pub const JSON: Self = Self(50);
    /// `application/cbor`
    pub const CBOR: Self = Self(60);
    /// `application/senml+json` (RFC 8428)
    pub const SENML_JSON: Self = Self(110);
    /// `application/senml+cbor` (RFC 8428)
    pub const SENML_CBOR: Self = Self(112);
}
