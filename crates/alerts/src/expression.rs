//! The condition `when = "co2 > 1000 && occupancy == 1"`: read once, then evaluated for each reading.
//!
//! - Variables: a metric's name is the device's newest value; `avg.NAME`, `min.`, `max.`, `std.`, `count.` are of its
//!   newest window; `zone.NAME` and `zone.avg.NAME` … are the averages of these over the devices of its zone. Names with other
//!   characters stand in backquotes: `` `room-1 co2` > 800 ``.
//! - Operators, the weakest first: `||`, `&&`, `== != < <= > >=`, `+ -`, `* / %`, `!` and `-` before a value. Functions: `abs(x)`,
//!   `min(a, b)`, `max(a, b)`. `true` and `false` may be compared with a metric: 1 and 0.
//! - A value that is not there makes what depends on it unknown, as NULL in SQL: `false && unknown` is false. An
//!   expression that is unknown does not hold.
//!
//! Its size is bounded, it has no loops, and evaluation neither allocates nor fails.

mod parser;
#[cfg(test)]
mod tests;

use std::fmt;

use gateway_core::Summary;
use serde::{Deserialize, Serialize};

/// The longest text, in bytes.
pub const MAX_LENGTH: usize = 1000;
/// The deepest nesting, and so the most values that wait on the stack.
const MAX_DEPTH: usize = 32;

/// Whose value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Scope {
    Device,
    Zone,
}

/// Which value of a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Stat {
    /// The newest reading.
    Latest,
    /// The others are of the newest window.
    Avg,
    Min,
    Max,
    Std,
    Count,
}

impl Stat {
    /// As it stands before a metric's name; `Latest` is nothing.
    const PREFIXES: [(&'static str, Self); 5] = [
        ("avg.", Self::Avg),
        ("min.", Self::Min),
        ("max.", Self::Max),
        ("std.", Self::Std),
        ("count.", Self::Count),
    ];

    /// What a closed window says of it; none of a reading.
    pub(crate) fn of(self, summary: &Summary) -> Option<f64> {
        match self {
            Self::Latest => None,
            Self::Avg => Some(summary.avg),
            Self::Min => Some(summary.min),
            Self::Max => Some(summary.max),
            Self::Std => Some(summary.std),
            Self::Count => Some(count(summary.count)),
        }
    }
}

/// Exact below 2^53.
#[allow(clippy::cast_precision_loss)]
fn count(count: u64) -> f64 {
    count as f64
}

/// What an expression reads.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Variable {
    pub scope: Scope,
    pub stat: Stat,
    pub metric: String,
}

impl fmt::Display for Variable {
    /// As it is written.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scope = if self.scope == Scope::Zone { "zone." } else { "" };
        let of_window = Stat::PREFIXES.iter().find(|(_, stat)| *stat == self.stat);
        let stat = of_window.map_or("", |(prefix, _)| *prefix);
        write!(formatter, "{scope}{stat}{}", self.metric)
    }
}

/// What is wrong with an expression.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("at character {}: {reason}", at + 1)]
pub struct ExpressionProblem {
    /// Where in the text, in characters from 0.
    pub at: usize,
    /// What is wrong there, and what is expected.
    pub reason: String,
}

/// An expression that can be evaluated.
#[derive(Debug, Clone, PartialEq)]
pub struct Expression {
    text: String,
    variables: Vec<Variable>,
    /// In postfix order.
    operations: Vec<Operation>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Operation {
    Number(f64),
    /// The value of the variable with this index.
    Variable(usize),
    Not,
    Negate,
    Abs,
    Binary(Binary),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Binary {
    Or,
    And,
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
    Min,
    Max,
}

impl Expression {
    /// # Errors
    /// Where it is no expression, or its value is not true or false.
    pub fn parse(text: &str) -> Result<Self, ExpressionProblem> {
        parser::parse(text)
    }

    /// As it was written.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// What it reads, each once.
    #[must_use]
    pub fn variables(&self) -> &[Variable] {
        &self.variables
    }

    /// Whether it holds, with the values of [`Self::variables`]; NaN stands for a value that is not there. `None`: unknown.
    #[must_use]
    pub fn evaluate(&self, values: &[f64]) -> Option<bool> {
        let mut waiting = Waiting::default();
        for operation in &self.operations {
            waiting.apply(*operation, values);
        }
        let value = waiting.pop();
        if value.is_nan() { None } else { Some(value != 0.0) }
    }
}

/// The values that wait for their operator.
struct Waiting {
    stack: [f64; MAX_DEPTH + 1],
    height: usize,
}

impl Default for Waiting {
    fn default() -> Self {
        Self { stack: [f64::NAN; MAX_DEPTH + 1], height: 0 }
    }
}

impl Waiting {
    fn apply(&mut self, operation: Operation, values: &[f64]) {
        let value = match operation {
            Operation::Number(number) => number,
            Operation::Variable(index) => values.get(index).copied().unwrap_or(f64::NAN),
            Operation::Not => truth_of(self.pop(), |value| value == 0.0),
            Operation::Negate => -self.pop(),
            Operation::Abs => self.pop().abs(),
            Operation::Binary(binary) => {
                let right = self.pop();
                binary.of(self.pop(), right)
            }
        };
        if let Some(slot) = self.stack.get_mut(self.height) {
            *slot = value;
            self.height += 1;
        }
    }

    fn pop(&mut self) -> f64 {
        self.height = self.height.saturating_sub(1);
        self.stack.get(self.height).copied().unwrap_or(f64::NAN)
    }
}

/// 1, 0, or NaN for unknown.
fn truth_of(value: f64, test: impl Fn(f64) -> bool) -> f64 {
    if value.is_nan() { f64::NAN } else { f64::from(u8::from(test(value))) }
}

impl Binary {
    fn of(self, left: f64, right: f64) -> f64 {
        let compare = |test: fn(&f64, &f64) -> bool| {
            if left.is_nan() || right.is_nan() { f64::NAN } else { f64::from(u8::from(test(&left, &right))) }
        };
        match self {
            Self::And if left == 0.0 || right == 0.0 => 0.0,
            Self::Or if (!left.is_nan() && left != 0.0) || (!right.is_nan() && right != 0.0) => 1.0,
            Self::And => compare(|_, _| true),
            Self::Or => compare(|_, _| false),
            Self::Equal => compare(|left, right| left == right),
            Self::NotEqual => compare(|left, right| left != right),
            Self::Less => compare(|left, right| left < right),
            Self::LessOrEqual => compare(|left, right| left <= right),
            Self::Greater => compare(|left, right| left > right),
            Self::GreaterOrEqual => compare(|left, right| left >= right),
            Self::Add => left + right,
            Self::Subtract => left - right,
            Self::Multiply => left * right,
            Self::Divide => left / right,
            Self::Remainder => left % right,
            Self::Min if left.is_nan() || right.is_nan() => f64::NAN,
            Self::Max if left.is_nan() || right.is_nan() => f64::NAN,
            Self::Min => left.min(right),
            Self::Max => left.max(right),
        }
    }
}
