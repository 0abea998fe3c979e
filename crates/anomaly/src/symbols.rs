//! Values as few symbols: the trial's range in equal parts, and as much again on either side.

/// Normalised values (0 and 1 are the lowest and highest of the trial) to symbols.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Symbols {
    /// Parts of the trial's range.
    pub(crate) levels: u32,
    /// Shift of the borders, in parts.
    pub(crate) offset: f64,
}

impl Symbols {
    /// How many there are.
    pub(crate) const fn count(self) -> usize {
        2 * self.levels as usize + 1
    }

    /// Of a value.
    pub(crate) fn of(self, value: f64) -> usize {
        let levels = f64::from(self.levels);
        let place = (value * levels + self.offset).floor().clamp(-0.5 * levels, 1.5 * levels);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to few levels")]
        let symbol = (place + 0.5 * levels) as usize;
        symbol
    }

    /// The values that a symbol stands for.
    pub(crate) fn range(self, symbol: usize) -> (f64, f64) {
        let levels = f64::from(self.levels);
        #[expect(clippy::cast_precision_loss, reason = "few levels")]
        let low = (symbol as f64 - 0.5 * levels - self.offset) / levels;
        (low, low + 1.0 / levels)
    }
}

#[cfg(test)]
mod tests;
