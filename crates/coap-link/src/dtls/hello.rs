//! Parses a ClientHello (RFC 6347, 4.2.1) before any state is kept for it, and builds the HelloVerifyRequest that answers it.

use super::record::{DTLS_1_0, HANDSHAKE, Record, number, plaintext_record, take};

const CLIENT_HELLO: u64 = 1;
const HELLO_VERIFY_REQUEST: u8 = 3;
/// The position of the message_seq in a handshake record.
const MESSAGE_SEQ: std::ops::Range<usize> = 17..19;

/// TLS_PSK_WITH_AES_128_CCM_8 (RFC 6655).
const CIPHER_SUITE: [u8; 2] = [0xC0, 0xA8];

/// The length of our cookies, the only one that `dimpl` verifies.
pub(super) const COOKIE_LENGTH: usize = 32;

/// Identifies one attempt of a client: 28 of the 32 bytes are random.
pub(super) type Random = [u8; 32];

/// An unfragmented ClientHello.
#[derive(Debug, Clone, Copy)]
pub(super) struct Hello<'a> {
    pub(super) random: Random,
    /// Empty in the first ClientHello.
    pub(super) cookie: &'a [u8],
    /// 0 without a cookie, 1 with one.
    pub(super) message_seq: u64,
    /// The fields that the client must repeat with the cookie: version, random, session id, suites and compressions.
    pub(super) repeated: [&'a [u8]; 2],
    suites: &'a [u8],
    record: Record<'a>,
}

/// A record that starts a handshake.
#[derive(Debug, Clone, Copy)]
pub(super) enum HandshakeStart<'a> {
    /// A whole ClientHello.
    Hello(Hello<'a>),
    /// Claims to be a ClientHello, but is fragmented or malformed.
    Unreadable,
}

/// Parses the ClientHello in `record`; `None` if the record is something else.
pub(super) fn begin(record: Record<'_>) -> Option<HandshakeStart<'_>> {
    let mut body = record.body;
    let is_hello = record.kind == HANDSHAKE && record.epoch == 0 && number(&mut body, 1)? == CLIENT_HELLO;
    is_hello.then(|| parse(record, body).map_or(HandshakeStart::Unreadable, HandshakeStart::Hello))
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

/// Removes a field from the front that starts with its length in `width` bytes.
fn take_counted<'a>(bytes: &mut &'a [u8], width: usize) -> Option<&'a [u8]> {
    let length = number(bytes, width)?;
    take(bytes, usize::try_from(length).ok()?)
}

impl<'a> Hello<'a> {
    /// Whether the client offers our cipher suite. `dimpl` does not answer a hello without a suite it knows.
    pub(super) fn offers_cipher_suite(&self) -> bool {
        self.suites.chunks_exact(2).any(|suite| suite == CIPHER_SUITE)
    }

    /// Its record, without other records of the datagram.
    pub(super) const fn record(&self) -> &'a [u8] {
        self.record.bytes
    }

    /// The record sequence number, which the first record of the answer repeats.
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

    /// The HelloVerifyRequest with `cookie`. It is shorter than any ClientHello that offers a suite, so it does not amplify.
    pub(super) fn verify_request(&self, cookie: &[u8; COOKIE_LENGTH]) -> Vec<u8> {
        /// Version, length of the cookie, cookie.
        const LENGTH: u8 = 2 + 1 + COOKIE_LENGTH as u8;
        let mut message = vec![HELLO_VERIFY_REQUEST];
        message.extend([0, 0, LENGTH]);
        message.extend([0, 0]);
        message.extend([0, 0, 0]);
        message.extend([0, 0, LENGTH]);
        message.extend(DTLS_1_0);
        message.push(COOKIE_LENGTH as u8);
        message.extend(cookie);
        plaintext_record(HANDSHAKE, DTLS_1_0, self.sequence(), &message)
    }
}
