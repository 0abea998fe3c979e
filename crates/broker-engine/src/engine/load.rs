//! How much there is to do a minute, as mosquitto tells it: averages over one, five and fifteen minutes, older minutes counting
//! exponentially less.

use super::{Now, Stats};

/// Topics below `$SYS/broker/load/`, and the counter of each.
const RATES: [(&str, Counter); 8] = [
    ("messages/received", |stats| stats.messages_received),
    ("messages/sent", |stats| stats.messages_sent),
    ("publish/received", |stats| stats.publish_received),
    ("publish/sent", |stats| stats.publish_sent),
    ("publish/dropped", |stats| stats.dropped.lost()),
    ("bytes/received", |stats| stats.bytes_received),
    ("bytes/sent", |stats| stats.bytes_sent),
    ("connections", |stats| stats.connects),
];
type Counter = fn(&Stats) -> u64;

const MINUTES: [(&str, f64); 3] = [("1min", 1.0), ("5min", 5.0), ("15min", 15.0)];
const MILLISECONDS_A_MINUTE: f64 = 60_000.0;

#[derive(Debug)]
pub(crate) struct Load {
    at: Now,
    is_new: bool,
    counts: [u64; RATES.len()],
    averages: [[f64; MINUTES.len()]; RATES.len()],
}

impl Load {
    pub(crate) fn new(now: Now) -> Self {
        Self { at: now, is_new: true, counts: Default::default(), averages: Default::default() }
    }

    /// The topics below `$SYS/broker/load/` and their values now; they take in what was counted since the last call.
    pub(crate) fn update(&mut self, stats: &Stats, now: Now) -> Vec<(String, String)> {
        let elapsed = now.monotonic.saturating_sub(self.at.monotonic);
        // Exact for more than a hundred thousand years.
        #[expect(clippy::cast_precision_loss, reason = "milliseconds and counters are far below 2^53")]
        let (minutes, count) = (elapsed as f64 / MILLISECONDS_A_MINUTE, |count: u64| count as f64);
        let mut topics = Vec::with_capacity(RATES.len() * MINUTES.len());
        let rows = RATES.iter().zip(&mut self.counts).zip(&mut self.averages);
        for (((name, counter), last), averages) in rows {
            let total = counter(stats);
            let new = total.saturating_sub(std::mem::replace(last, total));
            let rate = if minutes > 0.0 { count(new) / minutes } else { 0.0 };
            for ((of, over), average) in MINUTES.iter().zip(averages) {
                // mosquitto begins with the first rate.
                let weight = if self.is_new { 0.0 } else { (-minutes / over).exp() };
                *average = weight.mul_add(*average - rate, rate);
                topics.push((format!("{name}/{of}"), format!("{:.2}", *average)));
            }
        }
        (self.at, self.is_new) = (now, false);
        topics
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_that_stays_is_the_average_and_one_that_ends_fades() {
        let at = |seconds: u64| Now { monotonic: seconds * 1000, wall: 0 };
        let mut load = Load::new(at(0));
        let mut stats = Stats::default();
        let value = |load: &mut Load, stats: &Stats, seconds, topic: &str| {
            let topics = load.update(stats, at(seconds));
            topics.into_iter().find(|(name, _)| name == topic).map(|(_, value)| value)
        };
        for second in 1..=6 {
            stats.publish_received += 50;
            assert_eq!(
                value(&mut load, &stats, second * 10, "publish/received/5min").as_deref(),
                Some("300.00")
            );
        }
        // A minute without any.
        for second in 7..12 {
            load.update(&stats, at(second * 10));
        }
        let fading = ["1min", "5min", "15min"].map(|over| {
            let mut load = Load { counts: load.counts, averages: load.averages, ..load };
            value(&mut load, &stats, 120, &format!("publish/received/{over}"))
        });
        let wanted = [1.0_f64, 5.0, 15.0].map(|over| Some(format!("{:.2}", 300.0 * (-1.0 / over).exp())));
        assert_eq!(fading, wanted);
    }
}
