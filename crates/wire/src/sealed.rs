//! Sealed frames: another frame, encrypted and authenticated with ChaCha20-Poly1305 (RFC 8439) under a key of the node's own.
//!
//! | bytes | what |
//! |---|---|
//! | 1 | `03` |
//! | 8 | the node's id |
//! | 4 | the counter; the same never comes twice under one key |
//! | … | the frame within, encrypted |
//! | 16 | the tag |
//!
//! The nonce of 96 bits is the id and the counter; the first 13 bytes are authenticated with the rest. Guarantees: a frame that
//! was changed or sealed with another key is not opened. Replays are the receiver's to refuse ([`crate::ReplayWindow`]).

use core::fmt;

use chacha20poly1305::aead::AeadInOut;
use chacha20poly1305::aead::inout::InOutBuf;
use chacha20poly1305::{ChaCha20Poly1305, KeyInit};

use crate::{EncodeError, SEALED};

/// A node's id, unique among the nodes of one key: its EUI-64, or its MAC address and two zeros.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct NodeId(pub [u8; 8]);

/// A node's key. It cannot be printed.
#[derive(Clone)]
pub struct Key([u8; 32]);

impl Key {
    /// The key of these bytes.
    #[must_use]
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(..)")
    }
}

/// What a sealed frame says in the clear.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Who sealed it.
    pub node: NodeId,
    /// Which of the node's frames it is.
    pub counter: u32,
}

/// How much longer a sealed frame is than the frame within, in bytes.
pub const OVERHEAD: usize = HEADER + TAG;

const HEADER: usize = 13;
const TAG: usize = 16;

/// Why a sealed frame was not opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum OpenError {
    /// It is no sealed frame, or too short for one.
    NotSealed,
    /// It was changed, or sealed with another key.
    Forged,
    /// The buffer is shorter than the frame within.
    Full,
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotSealed => "it is not a sealed frame",
            Self::Forged => "it was changed on the way, or sealed with another key",
            Self::Full => "it is longer than any frame of a node",
        })
    }
}

impl core::error::Error for OpenError {}

/// What a sealed frame says in the clear, not authenticated yet; `None` if it is no sealed frame.
#[must_use]
pub fn header(frame: &[u8]) -> Option<Header> {
    if frame.len() < OVERHEAD {
        return None;
    }
    let [kind, node @ .., c0, c1, c2, c3] = *frame.first_chunk::<HEADER>()?;
    (kind == SEALED).then_some(Header { node: NodeId(node), counter: u32::from_be_bytes([c0, c1, c2, c3]) })
}

/// Seals a frame into `buffer` and returns the length.
///
/// # Errors
/// [`EncodeError::Full`] if the buffer is shorter than the frame and [`OVERHEAD`].
pub fn seal(key: &Key, header: Header, frame: &[u8], buffer: &mut [u8]) -> Result<usize, EncodeError> {
    let length = frame.len() + OVERHEAD;
    let buffer = buffer.get_mut(..length).ok_or(EncodeError::Full)?;
    let (head, rest) = buffer.split_first_chunk_mut::<HEADER>().ok_or(EncodeError::Full)?;
    let (within, tag) = rest.split_last_chunk_mut::<TAG>().ok_or(EncodeError::Full)?;
    let nonce = nonce(header);
    for (slot, byte) in head.iter_mut().zip(core::iter::once(SEALED).chain(nonce)) {
        *slot = byte;
    }
    within.copy_from_slice(frame);
    let sealed = cipher(key).encrypt_inout_detached(&nonce.into(), head, InOutBuf::from(within));
    tag.copy_from_slice(&sealed.map_err(|_| EncodeError::Full)?);
    Ok(length)
}

/// Opens a sealed frame into `buffer`.
///
/// # Errors
/// If it is not a sealed frame, was changed, or does not fit.
pub fn open<'b>(key: &Key, frame: &[u8], buffer: &'b mut [u8]) -> Result<(Header, &'b [u8]), OpenError> {
    let header = header(frame).ok_or(OpenError::NotSealed)?;
    let (head, rest) = frame.split_first_chunk::<HEADER>().ok_or(OpenError::NotSealed)?;
    let (within, tag) = rest.split_last_chunk::<TAG>().ok_or(OpenError::NotSealed)?;
    let buffer = buffer.get_mut(..within.len()).ok_or(OpenError::Full)?;
    buffer.copy_from_slice(within);
    let nonce = nonce(header);
    let opened =
        cipher(key).decrypt_inout_detached(&nonce.into(), head, InOutBuf::from(&mut *buffer), &(*tag).into());
    opened.map_err(|_| OpenError::Forged)?;
    Ok((header, buffer))
}

fn cipher(key: &Key) -> ChaCha20Poly1305 {
    ChaCha20Poly1305::new(&key.0.into())
}

fn nonce(header: Header) -> [u8; 12] {
    let mut nonce = [0; 12];
    for (slot, byte) in nonce.iter_mut().zip(header.node.0.into_iter().chain(header.counter.to_be_bytes())) {
        *slot = byte;
    }
    nonce
}
