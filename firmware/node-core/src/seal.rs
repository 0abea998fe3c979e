//! Sealing with counters that never come twice: they are reserved in the store in blocks before the first of a block is used.

use crate::board::Store;

/// The key of the reserved counters in the store.
const KEY: u8 = 0;
/// How many counters one write to the store reserves; a restart skips what is left of them.
const BLOCK: u32 = 64;

/// Numbers that outlive a power cut.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    next: u32,
    /// Not reserved any more.
    end: u32,
}

impl Counters {
    /// A number that was never given before; `None` if the store does not last, or all numbers are used.
    pub(crate) async fn next(&mut self, store: &mut impl Store) -> Option<u32> {
        if self.next == self.end {
            let mut buffer = [0; 4];
            let reserved = match store.load(KEY, &mut buffer).await {
                Ok(None) => 0,
                Ok(Some(4)) => u32::from_be_bytes(buffer),
                _ => return None,
            };
            let end = reserved.checked_add(BLOCK)?;
            store.save(KEY, &end.to_be_bytes()).await.ok()?;
            (self.next, self.end) = (reserved, end);
        }
        let number = self.next;
        self.next += 1;
        Some(number)
    }
}
