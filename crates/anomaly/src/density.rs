//! Density: how rare a value is, over all times and at this hour of the day.

use gateway_core::Moment;
use serde::{Deserialize, Serialize};

use crate::bins::{Counts, MEMORY};
use crate::recent::Recent;
use crate::symbols::Symbols;

const HOURS: usize = 24;
/// Share of the values of an hour.
const RARE: f64 = 0.02;
const SCALES: [Symbols; 3] = [
    Symbols { levels: 8, offset: 0.0 },
    Symbols { levels: 8, offset: 0.5 },
    Symbols { levels: 16, offset: 0.0 },
];

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Density {
    seen: u32,
    by_hour: [u32; HOURS],
    tables: [Table; 3],
    recent: Recent,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Table {
    all: Counts,
    /// Hour by hour.
    by_hour: Counts,
}

impl Default for Density {
    fn default() -> Self {
        let table = |symbols: Symbols| Table {
            all: Counts::new(symbols.count()),
            by_hour: Counts::new(HOURS * symbols.count()),
        };
        Self { seen: 0, by_hour: [0; HOURS], tables: SCALES.map(table), recent: Recent::new(10) }
    }
}

impl Density {
    /// Surprise in bits, the mean over the scales and the last 10 values.
    pub(crate) fn observe(&mut self, moment: Moment, value: f64) -> f64 {
        let hour = moment.slot_of_day(24) as usize;
        let seen = f64::from(self.seen);
        let seen_then = self.by_hour.get(hour).copied().map_or(0.0, f64::from);
        let mut likelihood = 1.0;
        for (symbols, table) in SCALES.iter().zip(&mut self.tables) {
            let symbol = symbols.of(value);
            let then = hour * symbols.count() + symbol;
            let prior = 1.0 / f64::from(symbols.levels + 2);
            let ever = (table.all.get(symbol) + prior) / (seen + 1.0);
            let now = (table.by_hour.get(then) + prior) / (seen_then + 1.0);
            likelihood *= ever.min(now);
            table.all.add(symbol);
            table.by_hour.add(then);
        }
        self.seen += 1;
        if let Some(count) = self.by_hour.get_mut(hour) {
            *count += 1;
        }
        if self.seen >= MEMORY {
            self.forget_half();
        }
        self.recent.push(-f64::log2(likelihood) / 3.0);
        self.recent.mean()
    }

    fn forget_half(&mut self) {
        self.seen /= 2;
        self.by_hour.iter_mut().for_each(|count| *count /= 2);
        for table in &mut self.tables {
            table.all.halve();
            table.by_hour.halve();
        }
    }

    /// From the lowest to the highest of the values that are not rare at this hour.
    pub(crate) fn usual(&self, moment: Moment) -> Option<(f64, f64)> {
        let ([_, _, symbols], [_, _, table]) = (SCALES, &self.tables);
        let first = moment.slot_of_day(24) as usize * symbols.count();
        let seen: f64 = (0..symbols.count()).map(|symbol| table.by_hour.get(first + symbol)).sum();
        let is_common = |symbol: &usize| table.by_hour.get(first + symbol) > RARE * seen;
        let mut common = (0..symbols.count()).filter(is_common);
        let lowest = common.next()?;
        let highest = common.next_back().unwrap_or(lowest);
        Some((symbols.range(lowest).0, symbols.range(highest).1))
    }
}

#[cfg(test)]
mod tests;
