//! A random value that fluctuates around its mean: an Ornstein-Uhlenbeck process in steps of a minute.

/// Fluctuates around 0.
#[derive(Debug, Clone)]
pub(super) struct Wander {
    value: f64,
    /// The share that is left after a minute.
    keeps: f64,
    /// The standard deviation of the change in a minute.
    kick: f64,
}

impl Wander {
    /// `deviation` is the standard deviation in the long run; after `memory` minutes a third of a value is left. `start` is in
    /// deviations.
    pub(super) fn new(deviation: f64, memory: f64, start: f64) -> Self {
        let keeps = (-1.0 / memory).exp();
        Self { value: deviation * start, keeps, kick: deviation * (1.0 - keeps * keeps).sqrt() }
    }

    /// Advances by a minute; `gaussian` is a random number.
    pub(super) fn step(&mut self, gaussian: f64) -> f64 {
        self.value = self.keeps * self.value + self.kick * gaussian;
        self.value
    }

    /// The current value.
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
