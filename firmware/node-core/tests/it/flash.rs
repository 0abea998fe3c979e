//! Flash as chips have it: erased to ones page by page, each word written once and whole (as with ECC), and a
//! write or an erasure that a power cut ends between two words.

use std::cell::RefCell;
use std::rc::Rc;

use embedded_storage_async::nor_flash::{
    ErrorType, NorFlash, NorFlashError, NorFlashErrorKind, ReadNorFlash,
};

pub(crate) const PAGE: usize = 256;

/// The chip; it stays when the node that uses it ends.
#[derive(Debug, Clone)]
pub(crate) struct Flash(Rc<RefCell<Chip>>);

#[derive(Debug)]
struct Chip {
    bytes: Vec<u8>,
    /// How many bytes are still written or erased until the power is cut.
    power: Option<usize>,
    operations: usize,
    /// Whether something else has written before: then a write to a word that is not erased fails, as on the chip.
    is_foreign: bool,
}

#[derive(Debug)]
pub(crate) struct PowerCut;

impl NorFlashError for PowerCut {
    fn kind(&self) -> NorFlashErrorKind {
        NorFlashErrorKind::Other
    }
}

impl Flash {
    pub(crate) fn new(pages: usize) -> Self {
        Self::of(vec![0xff; pages * PAGE], false)
    }

    /// A chip that something else has written.
    pub(crate) fn with(bytes: Vec<u8>) -> Self {
        Self::of(bytes, true)
    }

    fn of(bytes: Vec<u8>, is_foreign: bool) -> Self {
        Self(Rc::new(RefCell::new(Chip { bytes, power: None, operations: 0, is_foreign })))
    }

    pub(crate) fn range(&self) -> std::ops::Range<u32> {
        0..u32::try_from(self.0.borrow().bytes.len()).unwrap()
    }

    /// Cuts the power after so many more bytes; `None`: power is back.
    pub(crate) fn cut_after(&self, bytes: Option<usize>) {
        self.0.borrow_mut().power = bytes;
    }

    pub(crate) fn is_cut(&self) -> bool {
        self.0.borrow().power == Some(0)
    }

    /// How many bytes were written or erased.
    pub(crate) fn operations(&self) -> usize {
        self.0.borrow().operations
    }
}

impl Chip {
    /// Whether there is power for so many more bytes; if not, it is cut now.
    fn spend(&mut self, bytes: usize) -> Result<(), PowerCut> {
        if let Some(left) = &mut self.power {
            let Some(rest) = left.checked_sub(bytes) else {
                *left = 0;
                return Err(PowerCut);
            };
            *left = rest;
        }
        self.operations += bytes;
        Ok(())
    }
}

impl ErrorType for Flash {
    type Error = PowerCut;
}

impl ReadNorFlash for Flash {
    const READ_SIZE: usize = 1;

    async fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), PowerCut> {
        if self.is_cut() {
            return Err(PowerCut);
        }
        let offset = offset as usize;
        bytes.copy_from_slice(&self.0.borrow().bytes[offset..offset + bytes.len()]);
        Ok(())
    }

    fn capacity(&self) -> usize {
        self.0.borrow().bytes.len()
    }
}

impl NorFlash for Flash {
    const WRITE_SIZE: usize = 8;
    const ERASE_SIZE: usize = PAGE;

    async fn erase(&mut self, from: u32, to: u32) -> Result<(), PowerCut> {
        assert!(from.is_multiple_of(PAGE as u32) && to.is_multiple_of(PAGE as u32));
        let mut chip = self.0.borrow_mut();
        for at in from as usize..to as usize {
            chip.spend(1)?;
            chip.bytes[at] = 0xff;
        }
        Ok(())
    }

    async fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), PowerCut> {
        assert!(offset.is_multiple_of(8) && bytes.len().is_multiple_of(8));
        let mut chip = self.0.borrow_mut();
        let offset = offset as usize;
        for (word, at) in bytes.chunks(8).zip((offset..).step_by(8)) {
            let is_erased = chip.bytes[at..at + 8].iter().all(|byte| *byte == 0xff);
            if chip.is_foreign && !is_erased {
                return Err(PowerCut);
            }
            assert!(is_erased || word.iter().all(|byte| *byte == 0xff), "a word is written twice");
            chip.spend(word.len())?;
            for (byte, at) in word.iter().zip(at..) {
                chip.bytes[at] &= byte;
            }
        }
        Ok(())
    }
}
