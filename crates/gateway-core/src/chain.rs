//! Formats an error with all its causes, for logs and answers.

use std::error::Error;

/// An error and all its causes on one line. A cause that the text already contains is left out: many libraries print the
/// cause in their own message and give it as the source too.
#[must_use]
pub fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    for cause in error.source().into_iter().flat_map(causes) {
        let cause = cause.to_string();
        if !text.contains(&cause) {
            text.push_str(": ");
            text.push_str(&cause);
        }
    }
    text
}

/// The error itself, then its causes, the nearest first.
pub fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |error| (*error).source())
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{text}")]
    struct Link {
        text: &'static str,
        source: io::Error,
    }

    fn link(text: &'static str) -> Link {
        Link { text, source: io::Error::other("disk full") }
    }

    #[test]
    fn names_every_cause_once() {
        assert_eq!(chain(&link("cannot write a")), "cannot write a: disk full");
        assert_eq!(chain(&link("cannot write a: disk full")), "cannot write a: disk full");
        assert_eq!(chain(&io::Error::other("disk full")), "disk full");
        let outer = io::Error::other(link("cannot write a"));
        assert_eq!(chain(&outer), "cannot write a: disk full");
        assert_eq!(causes(&link("x")).count(), 2);
    }
}
