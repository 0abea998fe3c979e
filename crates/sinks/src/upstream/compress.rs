//! Compresses payloads for the cloud: `[upstream] compression`.
//!
//! `zlib`: one zlib stream (RFC 1950), as Python's `zlib.decompress` reads it. `zstd`: one frame (RFC 8878) that has
//! its size. A payload has about 400 bytes, so a dictionary would be worth more than a higher level.

use std::io::{self, Write as _};

use bytes::Bytes;
use flate2::write::ZlibEncoder;

use super::config::Compression;

/// zstd's own default.
const ZSTD_LEVEL: i32 = 3;

/// `payload`, compressed.
pub(super) fn compress(compression: Compression, payload: Vec<u8>) -> io::Result<Bytes> {
    Ok(Bytes::from(match compression {
        Compression::None => payload,
        Compression::Zlib => {
            let mut encoder =
                ZlibEncoder::new(Vec::with_capacity(payload.len() / 2), flate2::Compression::default());
            encoder.write_all(&payload)?;
            encoder.finish()?
        }
        Compression::Zstd => zstd::bulk::compress(&payload, ZSTD_LEVEL)?,
    }))
}
