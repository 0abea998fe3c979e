//! The unencrypted parts of a DTLS record (RFC 6347, 4.1), and the two changes made to plaintext records.

/// Content types (RFC 5246, 6.2.1).
pub(super) const ALERT: u8 = 21;
pub(super) const HANDSHAKE: u8 = 22;

/// Alert descriptions (RFC 5246, 7.2.2).
pub(super) const HANDSHAKE_FAILURE: u8 = 40;
pub(super) const DECRYPT_ERROR: u8 = 51;
pub(super) const INTERNAL_ERROR: u8 = 80;

/// DTLS versions count down: 1.0 is {254, 255}, 1.2 is {254, 253}.
pub(super) const DTLS_1_0: [u8; 2] = [0xFE, 0xFF];
const DTLS_1_2: [u8; 2] = [0xFE, 0xFD];

/// type, version, epoch, sequence number, length.
const HEADER: usize = 1 + 2 + 2 + 6 + 2;
/// The sequence number within the header.
const SEQUENCE: std::ops::Range<usize> = 5..11;
/// A sequence number has 48 bits.
const SEQUENCE_MASK: u64 = (1 << 48) - 1;

/// A parsed record.
#[derive(Debug, Clone, Copy)]
pub(super) struct Record<'a> {
    pub(super) kind: u8,
    pub(super) epoch: u16,
    pub(super) sequence: u64,
    pub(super) body: &'a [u8],
    /// The whole record with its header.
    pub(super) bytes: &'a [u8],
}

/// Removes `count` bytes from the front.
pub(super) fn take<'a>(bytes: &mut &'a [u8], count: usize) -> Option<&'a [u8]> {
    let (front, rest) = bytes.split_at_checked(count)?;
    *bytes = rest;
    Some(front)
}

/// Removes a big-endian number of `count` (at most 8) bytes from the front.
pub(super) fn number(bytes: &mut &[u8], count: usize) -> Option<u64> {
    let front = take(bytes, count)?;
    Some(front.iter().fold(0, |number, &byte| number << 8 | u64::from(byte)))
}

/// The first record of a datagram; `None` if it is not DTLS.
pub(super) fn first(datagram: &[u8]) -> Option<Record<'_>> {
    let mut rest = datagram;
    let &[kind] = take(&mut rest, 1)? else { return None };
    let version = take(&mut rest, 2)?;
    if !(20..=23).contains(&kind) || (version != DTLS_1_0 && version != DTLS_1_2) {
        return None;
    }
    let epoch = u16::try_from(number(&mut rest, 2)?).ok()?;
    let sequence = number(&mut rest, 6)?;
    let length = usize::try_from(number(&mut rest, 2)?).ok()?;
    let body = take(&mut rest, length)?;
    let bytes = datagram.get(..HEADER.saturating_add(length))?;
    Some(Record { kind, epoch, sequence, body, bytes })
}

/// The records of a datagram up to the first byte that is not DTLS; at most eight, of which four are ever needed.
///
/// They are passed on one by one, because `dimpl` queues an early datagram as a whole, at 5 kB per record.
pub(super) fn all(mut datagram: &[u8]) -> impl Iterator<Item = Record<'_>> {
    let records = std::iter::from_fn(move || {
        let record = first(datagram)?;
        datagram = datagram.get(record.bytes.len()..)?;
        Some(record)
    });
    records.take(8)
}

/// Adds `shift` to the sequence number of every plaintext record; returns the last number.
///
/// These records are not authenticated, and their numbers are not part of the handshake transcript.
pub(super) fn renumber(mut datagram: &mut [u8], shift: u64) -> Option<u64> {
    let mut last = None;
    while let Some(record) = first(datagram) {
        let (length, epoch) = (record.bytes.len(), record.epoch);
        let sequence = record.sequence.wrapping_add(shift) & SEQUENCE_MASK;
        if epoch == 0 {
            datagram.get_mut(SEQUENCE)?.copy_from_slice(sequence.to_be_bytes().get(2..)?);
            last = Some(sequence);
        }
        datagram = datagram.get_mut(length..)?;
    }
    last
}

/// A plaintext record.
pub(super) fn plaintext_record(kind: u8, version: [u8; 2], sequence: u64, body: &[u8]) -> Vec<u8> {
    let mut record = Vec::with_capacity(HEADER.saturating_add(body.len()));
    let length = u16::try_from(body.len()).unwrap_or(u16::MAX);
    record.push(kind);
    record.extend(version);
    record.extend([0, 0]);
    record.extend(sequence.to_be_bytes().into_iter().skip(2));
    record.extend(length.to_be_bytes());
    record.extend(body);
    record
}

/// A fatal alert in plaintext, before both sides have keys.
pub(super) fn fatal_alert(sequence: u64, description: u8) -> Vec<u8> {
    const FATAL: u8 = 2;
    plaintext_record(ALERT, DTLS_1_2, sequence, &[FATAL, description])
}
