//! The destination of a command: an adapter's kind makes it from the configuration, and only that adapter reads it.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

/// A target in the words of one kind of adapter; for everything else it is a text for the log.
#[derive(Clone)]
pub struct Target {
    value: Arc<dyn Value>,
    refill: Option<Arc<Refill>>,
}

/// Gives a text with what its placeholders stand for.
pub type Fill<'a> = dyn Fn(&str) -> String + 'a;
type Refill = dyn Fn(&Fill<'_>) -> Target + Send + Sync;

trait Value: Any + fmt::Display + Send + Sync {}
impl<T: Any + fmt::Display + Send + Sync> Value for T {}

impl Target {
    /// Wraps what the kind understands.
    #[must_use]
    pub fn new<T: fmt::Display + Send + Sync + 'static>(target: T) -> Self {
        Self { value: Arc::new(target), refill: None }
    }

    /// A target that is a text with placeholders such as `{device}`; `wrap` makes the target of the filled text.
    #[must_use]
    pub fn of_text<T: fmt::Display + Send + Sync + 'static>(text: String, wrap: fn(String) -> T) -> Self {
        if !text.contains('{') {
            return Self::new(wrap(text));
        }
        let value = Arc::new(wrap(text.clone()));
        Self { value, refill: Some(Arc::new(move |fill| Self::new(wrap(fill(&text))))) }
    }

    /// With what its placeholders stand for.
    #[must_use]
    pub fn filled(&self, fill: &Fill<'_>) -> Self {
        self.refill.as_ref().map_or_else(|| self.clone(), |refill| refill(fill))
    }

    /// The target, where it is of this kind.
    #[must_use]
    pub fn get<T: 'static>(&self) -> Option<&T> {
        let value: &dyn Any = &*self.value;
        value.downcast_ref()
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.value.fmt(f)
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Target({})", self.value)
    }
}

/// What an action sends.
#[derive(Clone)]
pub enum Message {
    /// As it stands.
    Ready {
        /// Where to.
        target: Target,
        /// The bytes.
        payload: Bytes,
    },
    /// Made anew each time, by something that may take long.
    Prepared(Arc<dyn Prepare>),
}

/// Makes a message when it is needed.
pub trait Prepare: Send + Sync {
    /// Where the message goes, and its bytes. May block for as long as a script runs; called on a thread that nothing
    /// else waits for.
    ///
    /// # Errors
    /// Why there is no message, for people.
    fn prepare(&self) -> Result<(Target, Bytes), String>;
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ready { target, .. } => write!(f, "Message({target})"),
            Self::Prepared(_) => f.write_str("Message(prepared)"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_its_own_kind_reads_a_target() {
        let target = Target::new("a/b".to_owned());
        assert_eq!(target.get::<String>().map(String::as_str), Some("a/b"));
        assert!(target.get::<u8>().is_none());
        assert_eq!(target.to_string(), "a/b");
    }

    #[test]
    fn placeholders_are_filled_each_time() {
        let target = Target::of_text("relays/{device}/set".to_owned(), |topic| topic);
        let filled = |device: &str| target.filled(&|text| text.replace("{device}", device)).to_string();
        assert_eq!([filled("a"), filled("b")], ["relays/a/set", "relays/b/set"]);
    }
}
