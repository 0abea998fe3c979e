//! What goes on is said once, and again only where it has become twice as bad.

use gateway_core::{AnomalyKind, Score};
use serde::{Deserialize, Serialize};

use crate::ensemble::LASTING;

/// What was said of what is going on.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub(crate) struct Onset {
    anomaly_kind: Option<AnomalyKind>,
    odds: f64,
}

impl Onset {
    /// The same score where it is news, one of at most [`LASTING`] where it is not.
    pub(crate) fn of(&mut self, score: Score) -> Score {
        if score.value < LASTING {
            *self = Self::default();
            return score;
        }
        let odds = score.value / (1.0 - score.value).max(f64::MIN_POSITIVE);
        if score.anomaly_kind == self.anomaly_kind && odds < 2.0 * self.odds {
            return Score { value: LASTING, ..score };
        }
        if score.value >= 0.5 {
            *self = Self { anomaly_kind: score.anomaly_kind, odds };
        }
        score
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stuck(value: f64) -> Score {
        Score { value, expected: None, anomaly_kind: Some(AnomalyKind::Stuck) }
    }

    #[test]
    fn what_goes_on_is_news_once_and_again_when_it_is_much_worse() {
        let mut onset = Onset::default();
        let said = [0.5, 0.55, 0.6, 0.7, 0.7, 0.1, 0.5, 1.0].map(|value| onset.of(stuck(value)).value);
        assert_eq!(said, [0.5, LASTING, LASTING, 0.7, LASTING, 0.1, 0.5, 1.0]);
    }

    #[test]
    fn another_fault_is_news() {
        let mut onset = Onset::default();
        onset.of(stuck(0.9));
        let noise = Score { anomaly_kind: Some(AnomalyKind::Noise), ..stuck(0.6) };
        assert_eq!(onset.of(noise), noise);
    }
}
