//! The column `metrics`: a window's summaries in few bytes.
//!
//! postcard: the number of metrics (varint), then for each its id (varint), avg, min, max, std (8 bytes each, IEEE 754,
//! little-endian) and count (varint); then a CRC-32 of the row's key, its revision and all that (4 bytes, little-endian).
//! Mostly 34 bytes a metric, and 5 more a row. Rows of `hours` and `days` have the same; a single reading's column `metrics`
//! has id and value (8 bytes) of each metric, and the checksum of its device, time and number.

use serde::{Deserialize, Serialize};

use crate::row::Summary;

const CRC_BYTES: usize = 4;

/// What the checksum covers beside the blob: a row that damage gave another's place is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Key {
    pub(crate) device: i64,
    pub(crate) start: i64,
    pub(crate) length: i64,
    pub(crate) revision: u32,
}

/// One metric, by its id in the file.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Entry {
    pub(crate) metric: u32,
    pub(crate) summary: Summary,
}

/// The blob of a row.
pub(crate) fn encode(key: Key, entries: &[Entry]) -> Result<Vec<u8>, postcard::Error> {
    Ok(seal(key, postcard::to_stdvec(entries)?))
}

/// The metrics of a row; none where the blob is not what was written.
pub(crate) fn decode(key: Key, blob: &[u8]) -> Option<Vec<Entry>> {
    let (entries, rest) = postcard::take_from_bytes(unseal(key, blob)?).ok()?;
    rest.is_empty().then_some(entries)
}

/// One metric of a row, without reading the others into memory; none where it is not there, or the blob is not what was
/// written.
pub(crate) fn find(key: Key, blob: &[u8], metric: u32) -> Option<Summary> {
    let (count, mut rest) = postcard::take_from_bytes::<u64>(unseal(key, blob)?).ok()?;
    for _ in 0..count {
        let (entry, after) = postcard::take_from_bytes::<Entry>(rest).ok()?;
        if entry.metric == metric {
            return Some(entry.summary);
        }
        rest = after;
    }
    None
}

/// The metrics of a row of windows, whose first columns are start, length, revision and the blob; none where the blob is not
/// what was written.
pub(crate) fn entries_of(device: i64, row: &rusqlite::Row<'_>) -> rusqlite::Result<Vec<Entry>> {
    let Ok(revision) = u32::try_from(row.get::<_, i64>(2)?) else { return Ok(Vec::new()) };
    let key = Key { device, start: row.get(0)?, length: row.get(1)?, revision };
    Ok(row.get_ref(3)?.as_blob().ok().and_then(|blob| decode(key, blob)).unwrap_or_default())
}

/// The blob of a single reading's values, by metric.
pub(crate) fn encode_values(key: Key, values: &[(u32, f64)]) -> Result<Vec<u8>, postcard::Error> {
    Ok(seal(key, postcard::to_stdvec(values)?))
}

/// The values of a single reading; none where the blob is not what was written.
pub(crate) fn decode_values(key: Key, blob: &[u8]) -> Option<Vec<(u32, f64)>> {
    postcard::from_bytes(unseal(key, blob)?).ok()
}

/// Bytes with their checksum behind them.
pub(crate) fn seal(key: Key, mut body: Vec<u8>) -> Vec<u8> {
    let crc = checksum(key, &body);
    body.extend_from_slice(&crc.to_le_bytes());
    body
}

/// The bytes without their checksum; none where it is another's.
pub(crate) fn unseal(key: Key, blob: &[u8]) -> Option<&[u8]> {
    let (body, crc) = blob.split_last_chunk::<CRC_BYTES>()?;
    (u32::from_le_bytes(*crc) == checksum(key, body)).then_some(body)
}

fn checksum(key: Key, body: &[u8]) -> u32 {
    let mut crc = crc32fast::Hasher::new();
    for number in [key.device, key.start, key.length, i64::from(key.revision)] {
        crc.update(&number.to_le_bytes());
    }
    crc.update(body);
    crc.finalize()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const KEY: Key = Key { device: 3, start: 1_795_168_800_000, length: 300_000, revision: 1 };

    fn entry(metric: u32) -> Entry {
        Entry { metric, summary: Summary { avg: 21.4, min: 21.1, max: 21.9, std: 0.21, count: 30 } }
    }

    #[test]
    fn a_metric_takes_34_bytes_and_a_row_5_more() {
        let blob = encode(KEY, &[entry(1), entry(2), entry(3), entry(4)]).unwrap();
        assert_eq!(blob.len(), 4 * 34 + 5);
    }

    #[test]
    fn a_blob_is_not_believed_in_another_place_or_revision() {
        let blob = encode(KEY, &[entry(1)]).unwrap();
        assert_eq!(decode(KEY, &blob), Some(vec![entry(1)]));
        assert_eq!(decode(Key { device: 4, ..KEY }, &blob), None);
        assert_eq!(decode(Key { revision: 0, ..KEY }, &blob), None);
    }

    #[test]
    fn one_metric_is_found_among_others_where_the_row_is_whole() {
        let all = [entry(1), Entry { summary: Summary { avg: 7.0, ..entry(300).summary }, ..entry(300) }];
        let mut blob = encode(KEY, &all).unwrap();
        assert_eq!(find(KEY, &blob, 300), Some(all[1].summary));
        assert_eq!(find(KEY, &blob, 2), None);
        blob[5] ^= 1;
        assert_eq!(find(KEY, &blob, 300), None);
    }

    proptest! {
        #[test]
        fn any_flipped_bit_is_noticed(metrics in prop::collection::vec(any::<u32>(), 0..5), at in any::<prop::sample::Index>()) {
            let entries: Vec<_> = metrics.into_iter().map(entry).collect();
            let mut blob = encode(KEY, &entries).unwrap();
            prop_assert_eq!(decode(KEY, &blob), Some(entries));
            let bit = at.index(blob.len() * 8);
            blob[bit / 8] ^= 1 << (bit % 8);
            prop_assert_eq!(decode(KEY, &blob), None);
        }

        #[test]
        fn arbitrary_bytes_are_no_row(blob in prop::collection::vec(any::<u8>(), 0..200)) {
            // Even with the right checksum nothing panics or takes memory without bound.
            let _ = postcard::take_from_bytes::<Vec<Entry>>(&blob);
            prop_assert_eq!(decode(KEY, &blob), None);
        }
    }
}
