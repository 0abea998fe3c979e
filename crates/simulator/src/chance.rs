//! Random numbers without state: the same inputs give the same number, in any order of the calls.

use std::f64::consts::TAU;

/// A source of random numbers for one message; several draws for one message differ.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Chance {
    /// The seed of the building and the device.
    pub(crate) seed: u64,
    /// The number of the device's message.
    pub(crate) message: u64,
}

impl Chance {
    /// For properties of a device that do not depend on a message.
    pub(crate) const fn of_device(seed: u64) -> Self {
        Self { seed, message: u64::MAX }
    }

    /// Uniform in 0..1.
    pub(crate) fn even(self, draw: u64) -> f64 {
        let mixed = mix(mix(mix(self.seed) ^ self.message) ^ draw);
        // The upper 53 bits: all that an f64 holds exactly.
        #[expect(clippy::cast_precision_loss, reason = "53 bits are exact in f64")]
        let numerator = (mixed >> 11) as f64;
        numerator / 9_007_199_254_740_992.0
    }

    /// Gaussian with mean 0 and standard deviation 1 (Box-Muller).
    pub(crate) fn gaussian(self, draw: u64) -> f64 {
        let radius = (-2.0 * (1.0 - self.even(draw)).ln()).sqrt();
        radius * (TAU * self.even(draw ^ (1 << 63))).cos()
    }
}

/// SplitMix64's step and finaliser (Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014).
pub(crate) const fn mix(number: u64) -> u64 {
    let mut z = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaussian_has_mean_0_and_deviation_1() {
        let draws: Vec<f64> = (0..100_000).map(|message| Chance { seed: 7, message }.gaussian(3)).collect();
        let mean = draws.iter().sum::<f64>() / 1e5;
        let variance = draws.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / 1e5;
        assert!(mean.abs() < 0.02, "{mean}");
        assert!((variance - 1.0).abs() < 0.03, "{variance}");
    }
}
