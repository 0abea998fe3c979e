//! How long to wait after a failed delivery: twice as long each time, up to an hour, with jitter, so that nodes that lost the same
//! gateway do not come back together.

const FIRST_SECONDS: u32 = 10;
const LONGEST_SECONDS: u32 = 3600;

#[derive(Debug, Default)]
pub(crate) struct Backoff {
    failures: u32,
}

impl Backoff {
    /// Milliseconds to wait after one more failure: the time of the failure's rank, less up to a half by chance.
    pub(crate) fn failed(&mut self, random: u32) -> u64 {
        let factor = 1_u32.checked_shl(self.failures).unwrap_or(u32::MAX);
        let longest = u64::from(FIRST_SECONDS.saturating_mul(factor).min(LONGEST_SECONDS)) * 1000;
        self.failures = (self.failures + 1).min(16);
        longest - u64::from(random) % (longest / 2)
    }

    pub(crate) fn succeeded(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::Backoff;

    #[test]
    fn waits_grow_from_ten_seconds_to_an_hour_and_begin_again_after_a_success() {
        let mut backoff = Backoff::default();
        let longest: [u64; 12] = core::array::from_fn(|_| backoff.failed(0) / 1000);
        assert_eq!(longest, [10, 20, 40, 80, 160, 320, 640, 1280, 2560, 3600, 3600, 3600]);
        for random in [1, 777_777, u32::MAX] {
            let wait = backoff.failed(random);
            assert!((1_800_001..=3_600_000).contains(&wait), "{wait}");
        }
        backoff.succeeded();
        assert_eq!(backoff.failed(0), 10_000);
    }
}
