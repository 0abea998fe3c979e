//! Records in flash, as a ring of `sequential-storage`, which survives a power cut at any write.
//!
//! Every record has a number, and the highest number that was removed is a value of its own: so nothing is written twice in
//! place, which the flash of some chips (STM32WL) does not allow. The last two pages have the values, the others the ring.

use core::ops::Range;

use embedded_storage_async::nor_flash::NorFlash;
use sequential_storage::Error;
use sequential_storage::cache::Cache;
use sequential_storage::map::{MapConfig, MapStorage};
use sequential_storage::queue::{QueueConfig, QueueStorage};

use crate::board::{MAX_VALUE, Store, StoreError};
use crate::stored::MAX_STORED;

const NUMBER: usize = 4;
/// The key of the highest number that was removed. Keys below 128 are the node's.
const REMOVED_KEY: u8 = 128;
/// A multiple of 32, the longest word of a flash.
const VALUE_BUFFER: usize = (MAX_VALUE + 8).next_multiple_of(32);
const RECORD_BUFFER: usize = (NUMBER + MAX_STORED).next_multiple_of(32);

type Uncached<K> = Cache<
    sequential_storage::cache::Uncached,
    sequential_storage::cache::Uncached,
    sequential_storage::cache::Uncached,
    K,
>;

/// A part of the flash; see the module.
#[derive(Debug)]
pub struct FlashStore<F> {
    flash: F,
    records: Range<u32>,
    values: Range<u32>,
    /// The number of the newest record, of the newest one removed, and of the one that `peek` returned.
    newest: u32,
    removed: u32,
    peeked: u32,
    lost: u32,
}

impl<F: NorFlash> FlashStore<F> {
    /// Opens the part `range` of the flash, at least three pages. A ring that cannot be read is erased and counted as one
    /// record lost. Values that cannot be read are left as they are, for a counter that began again would break the seal:
    /// then nothing can be loaded or saved until the part is erased from outside.
    ///
    /// # Errors
    /// Where the range is no whole number of pages, has fewer than three, or the ring cannot be erased.
    pub async fn open(flash: F, range: Range<u32>) -> Result<Self, StoreError> {
        let page = u32::try_from(F::ERASE_SIZE).map_err(|_| StoreError)?;
        let middle =
            range.end.checked_sub(2 * page).filter(|middle| *middle > range.start).ok_or(StoreError)?;
        let (records, values) = (range.start..middle, middle..range.end);
        QueueConfig::<F>::try_new(records.clone()).map_err(|_| StoreError)?;
        MapConfig::<F>::try_new(values.clone()).map_err(|_| StoreError)?;
        let mut store = Self { flash, records, values, newest: 0, removed: 0, peeked: 0, lost: 0 };
        let mut buffer = [0; 4];
        if store.load(REMOVED_KEY, &mut buffer).await == Ok(Some(buffer.len())) {
            store.removed = u32::from_be_bytes(buffer);
        }
        store.newest = store.removed;
        if store.find_newest().await.is_err() {
            store.lost += 1;
            store.queue().erase_all().await.map_err(|_| StoreError)?;
        }
        Ok(store)
    }

    async fn find_newest(&mut self) -> Result<(), Error<F::Error>> {
        let (mut newest, mut buffer) = (self.newest, [0; RECORD_BUFFER]);
        let mut queue = self.queue();
        let mut records = queue.iter().await?;
        while let Some(record) = records.next(&mut buffer).await? {
            if let Some((number, _)) = split(&record) {
                newest = newest.max(number);
            }
        }
        self.newest = newest;
        Ok(())
    }

    fn queue(&mut self) -> QueueStorage<&mut F, Uncached<()>> {
        QueueStorage::new(&mut self.flash, QueueConfig::new(self.records.clone()), Cache::new_uncached())
    }

    fn map(&mut self) -> MapStorage<u8, &mut F, Uncached<u8>> {
        MapStorage::new(&mut self.flash, MapConfig::new(self.values.clone()), Cache::new_uncached())
    }

    /// The first record after the last one removed, copied into `buffer`.
    async fn first(&mut self, buffer: &mut [u8]) -> Result<Option<(u32, usize)>, Error<F::Error>> {
        let (removed, mut read) = (self.removed, [0; RECORD_BUFFER]);
        let mut queue = self.queue();
        let mut records = queue.iter().await?;
        while let Some(record) = records.next(&mut read).await? {
            if let Some((number, record)) = split(&record)
                && number > removed
            {
                let target = buffer.get_mut(..record.len()).ok_or(Error::BufferTooSmall(record.len()))?;
                target.copy_from_slice(record);
                return Ok(Some((number, record.len())));
            }
        }
        Ok(None)
    }

    /// The ring cannot be read any more: it begins anew, and what was in it is lost.
    async fn erase_records(&mut self) -> Result<(), StoreError> {
        self.lost += self.newest - self.removed;
        self.removed = self.newest;
        self.queue().erase_all().await.map_err(|_| StoreError)
    }
}

fn split(record: &[u8]) -> Option<(u32, &[u8])> {
    let (number, record) = record.split_first_chunk::<NUMBER>()?;
    Some((u32::from_be_bytes(*number), record))
}

impl<F: NorFlash> Store for FlashStore<F> {
    async fn push(&mut self, record: &[u8]) -> Result<(), StoreError> {
        let number = self.newest.checked_add(1).ok_or(StoreError)?;
        let mut buffer = [0; RECORD_BUFFER];
        let length = NUMBER + record.len();
        let bytes = buffer.get_mut(..length).ok_or(StoreError)?;
        let (head, rest) = bytes.split_first_chunk_mut::<NUMBER>().ok_or(StoreError)?;
        *head = number.to_be_bytes();
        rest.copy_from_slice(record);
        match self.queue().push(bytes, true).await {
            Ok(()) => {}
            Err(Error::Corrupted { .. }) => {
                self.erase_records().await?;
                self.queue().push(bytes, true).await.map_err(|_| StoreError)?;
            }
            Err(_) => return Err(StoreError),
        }
        self.newest = number;
        Ok(())
    }

    async fn peek(&mut self, buffer: &mut [u8]) -> Result<Option<usize>, StoreError> {
        if self.removed == self.newest {
            return Ok(None);
        }
        match self.first(buffer).await {
            Ok(Some((number, length))) => {
                // Those between were overwritten: the ring was full.
                let missing = number - self.removed - 1;
                self.lost += missing;
                self.removed += missing;
                self.peeked = number;
                Ok(Some(length))
            }
            Ok(None) | Err(Error::Corrupted { .. }) => {
                self.erase_records().await?;
                Ok(None)
            }
            Err(_) => Err(StoreError),
        }
    }

    async fn pop(&mut self) -> Result<(), StoreError> {
        self.removed = self.removed.max(self.peeked);
        let removed = self.removed.to_be_bytes();
        self.save(REMOVED_KEY, &removed).await
    }

    fn lost(&self) -> u32 {
        self.lost
    }

    async fn save(&mut self, key: u8, value: &[u8]) -> Result<(), StoreError> {
        if value.len() > MAX_VALUE {
            return Err(StoreError);
        }
        let mut buffer = [0; VALUE_BUFFER];
        self.map().store_item(&mut buffer, &key, &value).await.map_err(|_| StoreError)
    }

    async fn load(&mut self, key: u8, buffer: &mut [u8]) -> Result<Option<usize>, StoreError> {
        let mut read = [0; VALUE_BUFFER];
        let value = self.map().fetch_item::<&[u8]>(&mut read, &key).await.map_err(|_| StoreError)?;
        let Some(value) = value else { return Ok(None) };
        buffer.get_mut(..value.len()).ok_or(StoreError)?.copy_from_slice(value);
        Ok(Some(value.len()))
    }
}
