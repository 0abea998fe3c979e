//! What is now a little higher and now a little lower, and comes back: an Ornstein-Uhlenbeck process, minute by minute.

/// Wanders around 0.
#[derive(Debug, Clone)]
pub(super) struct Wander {
    value: f64,
    /// How much of it is left after a minute.
    keeps: f64,
    /// Standard deviation of what a minute adds.
    kick: f64,
}

impl Wander {
    /// `deviation` is the standard deviation that it has in the long run; after `memory` minutes a third is left of what
    /// it was. `start` is in deviations.
    pub(super) fn new(deviation: f64, memory: f64, start: f64) -> Self {
        let keeps = (-1.0 / memory).exp();
        Self { value: deviation * start, keeps, kick: deviation * (1.0 - keeps * keeps).sqrt() }
    }

    /// Goes on by a minute; `gaussian` is this minute's chance.
    pub(super) fn step(&mut self, gaussian: f64) -> f64 {
        self.value = self.keeps * self.value + self.kick * gaussian;
        self.value
    }

    /// Where it is.
    pub(super) const fn value(&self) -> f64 {
        self.value
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chance::Chance;

    #[test]
    fn it_keeps_its_deviation() {
        let mut wander = Wander::new(2.0, 30.0, 0.0);
        let values: Vec<f64> =
            (0..200_000).map(|message| wander.step(Chance { seed: 3, message }.gaussian(0))).collect();
        let deviation = (values.iter().map(|v| v * v).sum::<f64>() / 200_000.0).sqrt();
        assert!((deviation - 2.0).abs() < 0.15, "{deviation}");
    }
}
