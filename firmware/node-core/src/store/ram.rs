//! Records in RAM, for boards whose flash is not used. They do not outlive a restart, and so numbers cannot be reserved.

use heapless::{Deque, Vec};

use crate::board::{Store, StoreError};
use crate::stored::MAX_STORED;

/// Up to `RECORDS` records.
#[derive(Debug, Default)]
pub struct RamStore<const RECORDS: usize> {
    records: Deque<Vec<u8, MAX_STORED>, RECORDS>,
    lost: u32,
}

impl<const RECORDS: usize> RamStore<RECORDS> {
    /// An empty one.
    #[must_use]
    pub const fn new() -> Self {
        Self { records: Deque::new(), lost: 0 }
    }
}

impl<const RECORDS: usize> Store for RamStore<RECORDS> {
    async fn push(&mut self, record: &[u8]) -> Result<(), StoreError> {
        let record = Vec::from_slice(record).map_err(|_| StoreError)?;
        if self.records.is_full() {
            self.records.pop_front();
            self.lost += 1;
        }
        self.records.push_back(record).map_err(|_| StoreError)
    }

    async fn peek(&mut self, buffer: &mut [u8]) -> Result<Option<usize>, StoreError> {
        let Some(record) = self.records.front() else { return Ok(None) };
        buffer.get_mut(..record.len()).ok_or(StoreError)?.copy_from_slice(record);
        Ok(Some(record.len()))
    }

    async fn pop(&mut self) -> Result<(), StoreError> {
        self.records.pop_front();
        Ok(())
    }

    fn lost(&self) -> u32 {
        self.lost
    }

    async fn save(&mut self, _key: u8, _value: &[u8]) -> Result<(), StoreError> {
        Err(StoreError)
    }

    async fn load(&mut self, _key: u8, _buffer: &mut [u8]) -> Result<Option<usize>, StoreError> {
        Err(StoreError)
    }
}
