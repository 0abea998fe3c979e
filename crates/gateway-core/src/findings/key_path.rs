//! Where a key stands, as people write it: `alerts.too-hot.actions[0].payload`.

use std::fmt::{self, Write as _};

/// A dotted key. Names that are not bare TOML keys are quoted, so that the key stays on one line.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct KeyPath(Vec<String>);

impl KeyPath {
    /// The whole file.
    pub const fn root() -> Self {
        Self(Vec::new())
    }

    /// A path of names that need no quotes.
    pub fn of(path: &str) -> Self {
        Self(path.split('.').map(str::to_owned).collect())
    }

    /// `name` in this table.
    pub fn key(&self, name: &str) -> Self {
        self.with(written(name))
    }

    /// The item at `index` of this list, counted from 0.
    pub fn index(&self, index: usize) -> Self {
        self.with(format!("[{index}]"))
    }

    /// Whether this is `table` itself or lies in it.
    pub fn is_within(&self, table: &Self) -> bool {
        self.0.starts_with(&table.0)
    }

    /// The table or list that this stands in; `None` for the whole file.
    pub fn parent(&self) -> Option<Self> {
        let (_, parent) = self.0.split_last()?;
        Some(Self(parent.to_vec()))
    }

    /// Whether this is the whole file.
    pub fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether this is `pattern`, in which `*` is any name.
    pub fn matches(&self, pattern: &str) -> bool {
        let levels: Vec<&str> = pattern.split('.').collect();
        levels.len() == self.0.len()
            && levels.iter().zip(&self.0).all(|(level, name)| *level == "*" || *level == name)
    }

    fn with(&self, segment: String) -> Self {
        let mut segments = self.0.clone();
        segments.push(segment);
        Self(segments)
    }
}

impl fmt::Display for KeyPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, segment) in self.0.iter().enumerate() {
            let dot = if i > 0 && !segment.starts_with('[') { "." } else { "" };
            write!(f, "{dot}{segment}")?;
        }
        Ok(())
    }
}

/// `name` as it is written in TOML: bare where it can be, else quoted.
pub fn written(name: &str) -> String {
    let bare = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    if !name.is_empty() && name.chars().all(bare) { name.to_owned() } else { quoted(name) }
}

/// `text` in quotes and on one line: a TOML basic string.
pub fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => {
                out.push('\\');
                out.push(c);
            }
            c if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') => {
                // Writing to a `String` cannot fail.
                let _ = write!(out, "\\u{:04X}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_only_what_is_no_bare_key() {
        let path = KeyPath::of("devices").key("kitchen/lamp").key("zone");
        assert_eq!(path.to_string(), r#"devices."kitchen/lamp".zone"#);
        assert_eq!(KeyPath::root().key("a").index(3).key("b\n").to_string(), r#"a[3]."b\u000A""#);
    }

    #[test]
    fn a_table_holds_its_keys_and_items_but_not_its_namesakes() {
        let table = KeyPath::of("adapters.mqtt");
        assert!(KeyPath::of("adapters.mqtt.floor").is_within(&table));
        assert!(table.index(0).is_within(&table));
        assert!(!KeyPath::of("adapters.mqttx").is_within(&table));
        assert!(table.is_within(&KeyPath::root()));
        assert_eq!(table.key("floor").parent(), Some(table.clone()));
        assert!(table.key("a.b").matches("adapters.mqtt.*"));
        assert!(!table.key("a").key("b").matches("adapters.mqtt.*"));
    }
}
