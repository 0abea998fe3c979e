//! Inputs that the model refuses, and why.

/// What is wrong with an input.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Below 0, or not a number.
    #[error("the current of `{state}` is {milliamps} mA; it must be 0 or more")]
    Current {
        /// Whose.
        state: String,
        /// As given.
        milliamps: f64,
    },
    /// Below 0, above 100, or not a number.
    #[error("the share of `{state}` is {percent} %; it must be 0 to 100 %")]
    Share {
        /// Whose.
        state: String,
        /// As given.
        percent: f64,
    },
    /// More time than there is.
    #[error("the shares sum to {percent:.3} %; they must not exceed 100 %")]
    Shares {
        /// Their sum.
        percent: f64,
    },
    /// A load of nothing.
    #[error("there is no state; give at least one")]
    NoState,
    /// 0, below, or not a number.
    #[error("the capacity is {0} mAh; it must be more than 0")]
    Capacity(f64),
    /// Below 0, above 100, or not a number.
    #[error("the self-discharge is {0} % a year; it must be 0 to 100 %")]
    SelfDischarge(f64),
    /// Beyond what batteries are made for.
    #[error("the temperature is {0} °C; the model holds from -40 to 85 °C")]
    Temperature(f64),
    /// Neither load nor self-discharge: no number of years is right.
    #[error("nothing discharges the battery: the mean current and the self-discharge are 0")]
    NoDischarge,
    /// LoRaWAN has SF7 to SF12.
    #[error("the spreading factor is {0}; LoRaWAN has 7 to 12")]
    SpreadingFactor(u8),
    /// More than one frame carries.
    #[error("a payload of {bytes} bytes does not fit; the limit is {most} bytes {link}")]
    Payload {
        /// As given.
        bytes: usize,
        /// The limit.
        most: usize,
        /// Whose limit.
        link: String,
    },
    /// A report takes longer than the interval.
    #[error("a report takes {active:.1} s, more than the interval of {interval:.1} s")]
    Interval {
        /// Seconds that a report takes.
        active: f64,
        /// Seconds between two reports.
        interval: f64,
    },
}
