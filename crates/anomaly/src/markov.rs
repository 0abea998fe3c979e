//! Markov: how rare the step from the previous value to this one is.

use serde::{Deserialize, Serialize};

use crate::bins::{Counts, MEMORY};
use crate::symbols::Symbols;

const SCALES: [Symbols; 3] = [
    Symbols { levels: 8, offset: 0.0 },
    Symbols { levels: 12, offset: 0.0 },
    Symbols { levels: 16, offset: 0.0 },
];
/// Too fine for steps: only how rare the value itself is.
const FINE: Symbols = Symbols { levels: 32, offset: 0.0 };

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Markov {
    seen: u32,
    tables: [Table; 3],
    fine: Counts,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Table {
    last: Option<u8>,
    all: Counts,
    /// Row by row: from, to.
    steps: Counts,
}

impl Default for Markov {
    fn default() -> Self {
        let table = |symbols: Symbols| Table {
            last: None,
            all: Counts::new(symbols.count()),
            steps: Counts::new(symbols.count() * symbols.count()),
        };
        Self { seen: 0, tables: SCALES.map(table), fine: Counts::new(FINE.count()) }
    }
}

impl Markov {
    /// Surprise in bits, the mean over the scales.
    pub(crate) fn observe(&mut self, value: f64) -> f64 {
        let seen = f64::from(self.seen);
        let mut likelihood = 1.0;
        for (symbols, table) in SCALES.iter().zip(&mut self.tables) {
            let symbol = symbols.of(value);
            let ever = probability(&table.all, symbol, *symbols, seen);
            let mut step = ever;
            if let Some(last) = table.last {
                let place = usize::from(last) * symbols.count() + symbol;
                // That value's last visit has had no step yet: it is the 1 that keeps what was never seen possible.
                step = (table.steps.get(place) + ever) / table.all.get(usize::from(last)).max(1.0);
                table.steps.add(place);
            }
            likelihood *= step;
            table.all.add(symbol);
            table.last = u8::try_from(symbol).ok();
        }
        let symbol = FINE.of(value);
        likelihood *= probability(&self.fine, symbol, FINE, seen);
        self.fine.add(symbol);
        self.seen += 1;
        if self.seen >= MEMORY {
            self.forget_half();
        }
        -f64::log2(likelihood) / 4.0
    }

    fn forget_half(&mut self) {
        self.seen /= 2;
        self.fine.halve();
        for table in &mut self.tables {
            table.all.halve();
            table.steps.halve();
        }
    }

    /// After a gap there is no step.
    pub(crate) fn forget_last(&mut self) {
        self.tables.iter_mut().for_each(|table| table.last = None);
    }
}

fn probability(counts: &Counts, symbol: usize, symbols: Symbols, seen: f64) -> f64 {
    (counts.get(symbol) + 1.0 / f64::from(symbols.levels + 2)) / (seen + 1.0)
}

#[cfg(test)]
mod tests;
