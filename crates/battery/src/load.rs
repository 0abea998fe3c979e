//! What discharges a battery: states with a current and a share of time each, and their mean current.

use crate::Error;

/// Sums of decimal fractions are off by this much at most.
const ROUNDING: f64 = 1e-9;

/// What a node does for a share of its time.
#[derive(Debug, Clone, PartialEq)]
pub struct State {
    name: String,
    milliamps: f64,
    share: f64,
}

impl State {
    /// A state with its current in mA, and its share of time in %.
    ///
    /// # Errors
    /// For a current below 0, a share outside 0 to 100 %, and for what is not a finite number.
    pub fn new(name: impl Into<String>, milliamps: f64, percent: f64) -> Result<Self, Error> {
        let state = name.into();
        if !milliamps.is_finite() || milliamps < 0.0 {
            return Err(Error::Current { state, milliamps });
        }
        let share = percent / 100.0;
        if !(0.0..=1.0 + ROUNDING).contains(&share) {
            return Err(Error::Share { state, percent });
        }
        Ok(Self { name: state, milliamps, share: share.min(1.0) })
    }

    /// As it was named.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The current while in this state, in mA.
    #[must_use]
    pub const fn milliamps(&self) -> f64 {
        self.milliamps
    }

    /// The share of time, 0 to 1.
    #[must_use]
    pub const fn share(&self) -> f64 {
        self.share
    }

    /// The charge that it takes in a day, in mAh.
    #[must_use]
    pub fn mah_a_day(&self) -> f64 {
        self.milliamps * self.share * 24.0
    }
}

/// The states of a node. Time that no state has draws no current.
#[derive(Debug, Clone, PartialEq)]
pub struct Load {
    states: Vec<State>,
}

impl Load {
    /// A load of these states.
    ///
    /// # Errors
    /// If there is no state, or if the shares sum to more than 100 %.
    pub fn new(states: Vec<State>) -> Result<Self, Error> {
        if states.is_empty() {
            return Err(Error::NoState);
        }
        let sum: f64 = states.iter().map(State::share).sum();
        if sum > 1.0 + ROUNDING {
            return Err(Error::Shares { percent: sum * 100.0 });
        }
        Ok(Self { states })
    }

    /// In the order that they were given.
    #[must_use]
    pub fn states(&self) -> &[State] {
        &self.states
    }

    /// The mean current in mA.
    #[must_use]
    pub fn milliamps(&self) -> f64 {
        self.states.iter().map(|state| state.milliamps * state.share).sum()
    }

    /// The share of time that no state has, 0 to 1.
    #[must_use]
    pub fn rest(&self) -> f64 {
        let rest = 1.0 - self.states.iter().map(State::share).sum::<f64>();
        if rest > ROUNDING { rest } else { 0.0 }
    }

    /// The load if everything but the longest state came `times` as often, at the cost of the longest. `None` if there is
    /// not that much time.
    #[must_use]
    pub fn as_often(&self, times: f64) -> Option<Self> {
        let longest = (0..self.states.len())
            .max_by(|a, b| self.share_of(*a).total_cmp(&self.share_of(*b)))
            .filter(|_| times.is_finite() && times > 0.0)?;
        let others: f64 = self.states.iter().map(State::share).sum::<f64>() - self.share_of(longest);
        let mut states = self.states.clone();
        for (index, state) in states.iter_mut().enumerate() {
            state.share =
                if index == longest { state.share - others * (times - 1.0) } else { state.share * times };
            if !(0.0..=1.0).contains(&state.share) {
                return None;
            }
        }
        Some(Self { states })
    }

    fn share_of(&self, index: usize) -> f64 {
        self.states.get(index).map_or(0.0, State::share)
    }
}
