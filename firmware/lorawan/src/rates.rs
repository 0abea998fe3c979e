//! When an uplink asks for an answer, and how fast it is sent. No radio here: numbers in, decisions out.

use node_core::wire::{BATCH, SEALED};

/// The data rates of EU868 from the slowest, SF12, to the fastest, SF7.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs, reason = "a number says it all")]
pub enum Rate {
    Dr0,
    Dr1,
    Dr2,
    Dr3,
    Dr4,
    Dr5,
}

impl Rate {
    /// The next slower one.
    #[must_use]
    pub const fn slower(self) -> Option<Self> {
        Some(match self {
            Self::Dr0 => return None,
            Self::Dr1 => Self::Dr0,
            Self::Dr2 => Self::Dr1,
            Self::Dr3 => Self::Dr2,
            Self::Dr4 => Self::Dr3,
            Self::Dr5 => Self::Dr4,
        })
    }

    /// The next faster one.
    #[must_use]
    pub const fn faster(self) -> Option<Self> {
        Some(match self {
            Self::Dr0 => Self::Dr1,
            Self::Dr1 => Self::Dr2,
            Self::Dr2 => Self::Dr3,
            Self::Dr3 => Self::Dr4,
            Self::Dr4 => Self::Dr5,
            Self::Dr5 => return None,
        })
    }

    /// Seconds to rest after the longest frame of the link, so that one hundredth of the time is spent sending (the duty cycle
    /// of 868.0 to 868.6 MHz). The longest has 51 bytes, and 15 for answers to the network's commands: 3.3 s at SF12, 0.14 s at SF7.
    #[must_use]
    pub const fn pause_seconds(self) -> u32 {
        match self {
            Self::Dr0 => 330,
            Self::Dr1 => 180,
            Self::Dr2 => 82,
            Self::Dr3 => 45,
            Self::Dr4 => 26,
            Self::Dr5 => 15,
        }
    }
}

/// One of so many single reports asks for an answer.
const CONFIRM_EVERY: u8 = 8;
/// Sealed frames hide what they are; longer ones than this carry several reports.
const LONGEST_SINGLE_SEALED: usize = 48;
/// Uplinks without an answer after which the rate is lowered.
const LOWER_AFTER: u8 = 3;
/// Uplinks without an answer at the slowest rate after which the session counts as lost.
const LEAVE_AFTER: u8 = 8;
/// Answers in a row after which a faster rate is tried.
const RAISE_AFTER: u8 = 32;

/// What came of an uplink that had no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// The session goes on, perhaps slower.
    Again,
    /// The network has forgotten the node, or never knew it: it joins again.
    Join,
}

/// What is remembered between two uplinks.
#[derive(Debug, Clone)]
pub struct Policy {
    fastest: Rate,
    rate: Rate,
    unconfirmed: u8,
    unanswered: u8,
    answered: u8,
}

impl Policy {
    /// Begins at a rate, and never sends faster.
    #[must_use]
    pub const fn new(fastest: Rate) -> Self {
        Self { fastest, rate: fastest, unconfirmed: CONFIRM_EVERY, unanswered: 0, answered: 0 }
    }

    /// The rate of the next uplink.
    #[must_use]
    pub const fn rate(&self) -> Rate {
        self.rate
    }

    /// Whether the frame shall ask for an answer: a batch does, each eighth single report does, and so does whatever is sent
    /// while answers are missing, or first after a join.
    #[must_use]
    pub fn confirms(&self, frame: &[u8]) -> bool {
        let is_several = match frame.first() {
            Some(&BATCH) => true,
            Some(&SEALED) => frame.len() > LONGEST_SINGLE_SEALED,
            _ => false,
        };
        is_several || self.unconfirmed >= CONFIRM_EVERY - 1
    }

    /// An uplink was sent that asked for nothing.
    pub const fn sent(&mut self) {
        self.unconfirmed = self.unconfirmed.saturating_add(1);
    }

    /// An uplink was answered.
    pub fn acknowledged(&mut self) {
        (self.unconfirmed, self.unanswered) = (0, 0);
        self.answered += 1;
        if self.answered >= RAISE_AFTER {
            self.answered = 0;
            self.rate = self.rate.faster().unwrap_or(self.rate).min(self.fastest);
        }
    }

    /// An uplink asked for an answer and got none.
    pub fn not_acknowledged(&mut self) -> Next {
        // The next uplink asks again, whatever it carries.
        self.unconfirmed = CONFIRM_EVERY;
        self.answered = 0;
        self.unanswered += 1;
        match self.rate.slower() {
            Some(slower) if self.unanswered >= LOWER_AFTER => (self.rate, self.unanswered) = (slower, 0),
            None if self.unanswered >= LEAVE_AFTER => {
                self.leave();
                return Next::Join;
            }
            _ => {}
        }
        Next::Again
    }

    /// The session is given up: the next join begins at the fastest rate.
    pub const fn leave(&mut self) {
        *self = Self::new(self.fastest);
    }

    /// A join was not answered: the next one is sent slower, and after the slowest rate at the fastest again.
    pub fn not_joined(&mut self) {
        self.rate = self.rate.slower().unwrap_or(self.fastest);
    }

    /// There is a session: its first uplink asks for an answer.
    pub const fn joined(&mut self) {
        (self.unconfirmed, self.unanswered, self.answered) = (CONFIRM_EVERY, 0, 0);
    }
}
