//! Means and counts by bin: what a detector knows of each time of the day, or of each value.

use serde::{Deserialize, Serialize};

/// Half of all counts is forgotten after so many samples: what was usual a season ago need not be now. Half a year of
/// samples every five minutes, and no count can overflow.
pub(crate) const MEMORY: u32 = 50_000;

/// An exponentially weighted mean for each bin: a plain mean at first, then one that forgets.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Means {
    rate: f32,
    means: Vec<f32>,
    visits: Vec<u8>,
}

impl Means {
    /// `rate` is the weight of the newest value once a bin has had `1 / rate` of them.
    pub(crate) fn new(bins: usize, rate: f32) -> Self {
        Self { rate, means: vec![0.0; bins], visits: vec![0; bins] }
    }

    /// A bin's mean, where it has had at least `visits` (up to 255) values.
    pub(crate) fn get(&self, bin: u32, visits: u8) -> Option<f64> {
        let known = self.visits.get(bin as usize).is_some_and(|seen| *seen >= visits);
        self.means.get(bin as usize).filter(|_| known).map(|mean| f64::from(*mean))
    }

    pub(crate) fn learn(&mut self, bin: u32, value: f64) {
        let index = bin as usize;
        let (Some(mean), Some(visits)) = (self.means.get_mut(index), self.visits.get_mut(index)) else {
            return;
        };
        *visits = visits.saturating_add(1);
        let rate = self.rate.max(1.0 / f32::from(*visits));
        *mean += rate * (single(value) - *mean);
    }
}

/// One exponentially weighted mean.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub(crate) struct Mean {
    rate: f32,
    mean: f32,
    visits: u16,
}

impl Mean {
    /// As [`Means::new`].
    pub(crate) const fn new(rate: f32) -> Self {
        Self { rate, mean: 0.0, visits: 0 }
    }

    pub(crate) fn get(&self) -> f64 {
        f64::from(self.mean)
    }

    /// How many values it has had, up to 65,535.
    pub(crate) const fn visits(&self) -> u16 {
        self.visits
    }

    pub(crate) fn learn(&mut self, value: f64) {
        self.visits = self.visits.saturating_add(1);
        let rate = self.rate.max(1.0 / f32::from(self.visits));
        self.mean += rate * (single(value) - self.mean);
    }
}

/// What is usual at a time of the day or week: a mean for each bin, and the level where a bin has hardly been visited.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Usual {
    bins: Means,
    level: Mean,
}

impl Usual {
    /// The values that a bin needs before it is used; until then the level is used.
    const KNOWN: u8 = 2;
    /// Weight of the newest value in the level.
    const LEVEL: f32 = 0.002;

    /// `rate` as for [`Means::new`].
    pub(crate) fn new(bins: usize, rate: f32) -> Self {
        Self { bins: Means::new(bins, rate), level: Mean::new(Self::LEVEL) }
    }

    pub(crate) fn get(&self, bin: u32) -> f64 {
        self.bins.get(bin, Self::KNOWN).unwrap_or(self.level.get())
    }

    pub(crate) fn learn(&mut self, bin: u32, value: f64) {
        self.bins.learn(bin, value);
        self.level.learn(value);
    }
}

/// How often each was seen.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Counts(Vec<u16>);

impl Counts {
    pub(crate) fn new(bins: usize) -> Self {
        Self(vec![0; bins])
    }

    pub(crate) fn get(&self, bin: usize) -> f64 {
        self.0.get(bin).copied().map_or(0.0, f64::from)
    }

    pub(crate) fn add(&mut self, bin: usize) {
        let Some(count) = self.0.get_mut(bin) else { return };
        *count = count.saturating_add(1);
    }

    /// Forgets half of what was seen.
    pub(crate) fn halve(&mut self) {
        self.0.iter_mut().for_each(|count| *count /= 2);
    }
}

/// Values are normalised and bounded, see [`crate::ensemble`]: single precision holds them.
#[expect(clippy::cast_possible_truncation, reason = "a seventh digit of a normalised value is noise")]
pub(crate) const fn single(value: f64) -> f32 {
    value as f32
}

#[cfg(test)]
mod tests;
