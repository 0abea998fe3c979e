//! The resources of a server in link format (RFC 6690), as listed by `/.well-known/core`, and the filtering by a query.

use std::fmt::Write;

/// A link to a resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    path: String,
    attributes: Vec<(&'static str, Option<String>)>,
}

impl Link {
    /// A link to a path such as `/sensors/ahu-3`, whose segments may be any text.
    #[must_use]
    pub fn new<'a>(path: impl IntoIterator<Item = &'a str>) -> Self {
        let mut escaped = String::new();
        for segment in path {
            escaped.push('/');
            escape(segment, &mut escaped);
        }
        if escaped.is_empty() {
            escaped.push('/');
        }
        Self { path: escaped, attributes: Vec::new() }
    }

    /// Adds an attribute such as `rt`, `if` or `ct`; several values are separated by spaces.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.attributes.push((name, Some(value.into())));
        self
    }

    /// Marks the resource as observable.
    #[must_use]
    pub fn observable(mut self) -> Self {
        self.attributes.push(("obs", None));
        self
    }

    /// Whether the link matches all parameters of a query (RFC 6690, 4.1), such as `rt=temperature`, `href=/sensors/*` or
    /// `obs`. A name without a value asks whether the attribute is present.
    #[must_use]
    pub fn matches(&self, query: &[String]) -> bool {
        query.iter().all(|argument| match argument.split_once('=') {
            Some(("href", pattern)) => matches_pattern(&self.path, pattern),
            Some((name, pattern)) => {
                self.values(name).any(|value| matches_pattern(value, pattern.trim_matches('"')))
            }
            None => self.attributes.iter().any(|(name, _)| name == argument),
        })
    }

    fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let of_name = self.attributes.iter().filter(move |(other, _)| *other == name);
        of_name.filter_map(|(_, value)| value.as_deref()).flat_map(|value| {
            // The whole value, and each of the values separated by spaces.
            std::iter::once(value).chain(value.split(' ').filter(move |part| *part != value))
        })
    }
}

/// The links that match `query`, as `application/link-format`.
#[must_use]
pub fn link_format<'a>(links: impl IntoIterator<Item = &'a Link>, query: &[String]) -> String {
    let mut text = String::new();
    for link in links.into_iter().filter(|link| link.matches(query)) {
        if !text.is_empty() {
            text.push(',');
        }
        let _ = write!(text, "<{}>", link.path);
        for (name, value) in &link.attributes {
            let _ = write!(text, ";{name}");
            if let Some(value) = value {
                text.push_str("=\"");
                value.chars().for_each(|character| {
                    if matches!(character, '"' | '\\') {
                        text.push('\\');
                    }
                    text.push(character);
                });
                text.push('"');
            }
        }
    }
    text
}

/// A `*` at the end of `pattern` matches anything.
fn matches_pattern(value: &str, pattern: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(beginning) => value.starts_with(beginning),
        None => value == pattern,
    }
}

/// Percent-encodes the characters that are not allowed in a path segment (RFC 3986, 3.3).
fn escape(segment: &str, into: &mut String) {
    for byte in segment.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~!$&()*+:@=".contains(&byte) {
            into.push(char::from(byte));
        } else {
            let _ = write!(into, "%{byte:02X}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn links() -> Vec<Link> {
        vec![
            Link::new(["sensors", "ahu-3"])
                .with("rt", "temperature humidity")
                .with("ct", "110 60")
                .observable(),
            Link::new(["räume", "a,b/c>"]).with("title", "a \"b\" \\"),
            Link::new([]),
        ]
    }

    fn ask(query: &[&str]) -> String {
        let query: Vec<_> = query.iter().map(|argument| (*argument).to_owned()).collect();
        link_format(&links(), &query)
    }

    #[test]
    fn links_are_written_with_their_attributes_and_escaped() {
        assert_eq!(
            ask(&[]),
            "</sensors/ahu-3>;rt=\"temperature humidity\";ct=\"110 60\";obs,\
             </r%C3%A4ume/a%2Cb%2Fc%3E>;title=\"a \\\"b\\\" \\\\\",</>"
        );
    }

    #[test]
    fn a_query_leaves_those_for_which_all_of_it_holds() {
        let first = "</sensors/ahu-3>;rt=\"temperature humidity\";ct=\"110 60\";obs";
        for query in [
            &["rt=humidity"][..],
            &["rt=temp*"],
            &["rt=temperature humidity"],
            &["ct=60", "obs"],
            &["href=/sensors/*"],
            &["href=/sensors/ahu-3"],
        ] {
            assert_eq!(ask(query), first, "{query:?}");
        }
        for query in [&["rt=temp"][..], &["rt=humidity", "ct=0"], &["nothing"], &["href=/sensors"], &["=x"]] {
            assert_eq!(ask(query), "", "{query:?}");
        }
    }
}
