//! The rate of a counter, which is scored instead of its value.

use serde::{Deserialize, Serialize};

use crate::pace::SinceLast;

const HOUR_MILLIS: f64 = 3_600_000.0;

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(crate) struct Rate {
    last: Option<f64>,
}

impl Rate {
    /// By the hour since the sample before; none for the first, and after a reset.
    pub(crate) fn of(&mut self, count: f64, since_last: SinceLast) -> Option<f64> {
        let last = self.last.replace(count)?;
        #[expect(clippy::cast_precision_loss, reason = "milliseconds of centuries are exact in f64")]
        let hours = since_last.0.filter(|millis| *millis > 0)? as f64 / HOUR_MILLIS;
        let rise = count - last;
        (rise >= 0.0).then_some(rise / hours)
    }
}

#[cfg(test)]
mod tests;
