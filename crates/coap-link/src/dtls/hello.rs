//! The ClientHello (RFC 6347, 4.2.1), as far as it is read before anything is kept, and the HelloVerifyRequest that
//! answers it.

use super::record::{DTLS_1_0, HANDSHAKE, Record, in_the_clear, number, take};

const CLIENT_HELLO: u64 = 1;
const HELLO_VERIFY_REQUEST: u8 = 3;
/// Where a record's handshake header has the message's number.
const MESSAGE_SEQ: std::ops::Range<usize> = 17..19;

/// TLS_PSK_WITH_AES_128_CCM_8 (RFC 6655).
const OUR_SUITE: [u8; 2] = [0xC0, 0xA8];

/// The length of our cookies; `dimpl` looks only at such.
pub(super) const COOKIE: usize = 32;

/// What names one attempt of one client: 28 of the 32 bytes are random.
pub(super) type Random = [u8; 32];

/// A ClientHello in one piece.
#[derive(Debug, Clone, Copy)]
pub(super) struct Hello<'a> {
    pub(super) random: Random,
    /// Empty in a client's first ClientHello.
    pub(super) cookie: &'a [u8],
    /// The message's number: 0 without a cookie, 1 with one.
    pub(super) message_seq: u64,
    /// What the client must repeat with the cookie (version, random, session id; suites and compressions).
    pub(super) repeated: [&'a [u8]; 2],
    suites: &'a [u8],
    record: Record<'a>,
}

/// A record that begins a handshake.
#[derive(Debug, Clone, Copy)]
pub(super) enum Begin<'a> {
    /// A whole ClientHello.
    Hello(Hello<'a>),
    /// Something that says it is a ClientHello: cut into fragments, or malformed.
    Unreadable,
}

/// Reads the ClientHello in `record`; `None` where the record is something else.
pub(super) fn begin(record: Record<'_>) -> Option<Begin<'_>> {
    let mut body = record.body;
    let is_hello = record.kind == HANDSHAKE && record.epoch == 0 && number(&mut body, 1)? == CLIENT_HELLO;
    is_hello.then(|| parse(record, body).map_or(Begin::Unreadable, Begin::Hello))
}

fn parse<'a>(record: Record<'a>, mut header: &'a [u8]) -> Option<Hello<'a>> {
    let header = &mut header;
    let length = number(header, 3)?;
    let message_seq = number(header, 2)?;
    let (fragment_offset, fragment_length) = (number(header, 3)?, number(header, 3)?);
    if fragment_offset != 0 || fragment_length != length {
        return None;
    }
    let body = take(header, usize::try_from(length).ok()?)?;

    let mut rest = body;
    take(&mut rest, 2)?;
    let random = take(&mut rest, 32)?.try_into().ok()?;
    take_counted(&mut rest, 1)?;
    let before = body.get(..body.len().checked_sub(rest.len())?)?;

    let cookie = take_counted(&mut rest, 1)?;

    let after = rest;
    let suites = take_counted(&mut rest, 2)?;
    take_counted(&mut rest, 1)?;
    let after = after.get(..after.len().checked_sub(rest.len())?)?;

    Some(Hello { random, cookie, message_seq, repeated: [before, after], suites, record })
}

/// Takes a field off the front that begins with its length in `width` bytes.
fn take_counted<'a>(bytes: &mut &'a [u8], width: usize) -> Option<&'a [u8]> {
    let length = number(bytes, width)?;
    take(bytes, usize::try_from(length).ok()?)
}

impl<'a> Hello<'a> {
    /// Whether the client has the one suite that we have. `dimpl` leaves a hello without any suite it knows unanswered.
    pub(super) fn offers_our_suite(&self) -> bool {
        self.suites.chunks_exact(2).any(|suite| suite == OUR_SUITE)
    }

    /// The record it came in, without what else the datagram had.
    pub(super) const fn record(&self) -> &'a [u8] {
        self.record.bytes
    }

    /// The record's sequence number, which the first record of the answer repeats.
    pub(super) const fn sequence(&self) -> u64 {
        self.record.sequence
    }

    /// The same record as if it were the client's first message.
    pub(super) fn as_first_message(&self) -> Vec<u8> {
        let mut record = self.record.bytes.to_vec();
        if let Some(message_seq) = record.get_mut(MESSAGE_SEQ) {
            message_seq.fill(0);
        }
        record
    }

    /// The datagram that asks the client to say it again with `cookie`. It is shorter than any ClientHello that offers
    /// something, so it amplifies nothing.
    pub(super) fn verify_request(&self, cookie: &[u8; COOKIE]) -> Vec<u8> {
        /// Version, the cookie's length, the cookie.
        const LENGTH: u8 = 2 + 1 + COOKIE as u8;
        let mut message = vec![HELLO_VERIFY_REQUEST];
        message.extend([0, 0, LENGTH]);
        message.extend([0, 0]);
        message.extend([0, 0, 0]);
        message.extend([0, 0, LENGTH]);
        message.extend(DTLS_1_0);
        message.push(COOKIE as u8);
        message.extend(cookie);
        in_the_clear(HANDSHAKE, DTLS_1_0, self.sequence(), &message)
    }
}
