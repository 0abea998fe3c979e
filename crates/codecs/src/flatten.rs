//! Objects within objects as a flat list of names and values, read straight from the bytes: no tree is built, and
//! nothing is allocated but a name buffer that the caller keeps.
//!
//! Nested names are joined with `.`; arrays are passed over, except that an array at the top holds one record per object.
//! Promises: never recurses deeper than [`MAX_DEPTH`], whatever the bytes say.

use std::fmt;

use serde::Deserializer;
use serde::de::{DeserializeSeed, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::DecodeError;

/// How deep objects may nest.
pub const MAX_DEPTH: u8 = 32;

/// Longest joined name in bytes that is walked, whether or not it becomes a metric: it bounds the work per value.
const MAX_PATH_BYTES: usize = 1024;

/// Refuses names whose joining would cost more than they can be worth.
pub(crate) fn check_path(path: &str) -> Result<(), DecodeError> {
    if path.len() > MAX_PATH_BYTES {
        return Err(DecodeError::NameTooLong { record: 1, most: MAX_PATH_BYTES });
    }
    Ok(())
}

/// A value that is neither object nor array.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Leaf<'a> {
    Null,
    Boolean(bool),
    Number(f64),
    Text(&'a str),
}

/// Who takes the leaves.
pub(crate) trait Leaves {
    /// An object begins that is a record.
    fn record_begins(&mut self);
    /// A value inside the record; `path` is its joined name.
    fn leaf(&mut self, path: &str, leaf: Leaf<'_>) -> Result<(), DecodeError>;
    /// The record is complete.
    fn record_ends(&mut self);
    /// The whole payload is one value and no object.
    fn bare(&mut self, leaf: Leaf<'_>) -> Result<(), DecodeError>;
}

/// Walks a JSON text. `path` is the buffer for names; what stands in it already begins every name.
pub(crate) fn json(text: &str, path: &mut String, leaves: &mut impl Leaves) -> Result<(), DecodeError> {
    let mut walk = Walk { path, leaves, failed: None };
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let parsed = Node { walk: &mut walk, level: Level::Top }
        .deserialize(&mut deserializer)
        .and_then(|()| deserializer.end());
    match (walk.failed, parsed) {
        (Some(failed), _) => Err(failed),
        (None, Err(source)) => Err(json_error(text, source)),
        (None, Ok(())) => Ok(()),
    }
}

/// Walks a tree that is one record, be it an object or not.
pub(crate) fn tree(
    tree: &serde_json::Value,
    path: &mut String,
    leaves: &mut impl Leaves,
) -> Result<(), DecodeError> {
    let mut walk = Walk { path, leaves, failed: None };
    let walked = Node { walk: &mut walk, level: Level::Inside(0) }.deserialize(tree);
    match (walk.failed, walked) {
        (Some(failed), _) => Err(failed),
        (None, Err(_)) => Err(DecodeError::Shape { expected: "a tree of values" }),
        (None, Ok(())) => Ok(()),
    }
}

/// Reports where JSON is invalid, and distinguishes invalid numbers (`NaN`, `1e999`) from other errors.
pub(crate) fn json_error(text: &str, source: serde_json::Error) -> DecodeError {
    let (line, column) = (source.line(), source.column());
    if source.to_string().starts_with("number out of range") || is_at_nan(text, line, column) {
        return DecodeError::NotFinite;
    }
    DecodeError::Json { line, column, source }
}

fn is_at_nan(text: &str, line: usize, column: usize) -> bool {
    let Some(line) = text.split('\n').nth(line.saturating_sub(1)) else { return false };
    let is_none = |rest: &[u8]| {
        [b"nan", b"inf"].iter().any(|word| rest.get(..3).is_some_and(|it| it.eq_ignore_ascii_case(*word)))
    };
    // The parser stops at the word's first, second or third byte.
    (1..=3).any(|back| line.as_bytes().get(column.saturating_sub(back)..).is_some_and(is_none))
}

struct Walk<'w, L> {
    path: &'w mut String,
    leaves: &'w mut L,
    /// Why the walk was stopped; serde's own error type cannot carry it.
    failed: Option<DecodeError>,
}

impl<L: Leaves> Walk<'_, L> {
    fn stop<E: Error>(&mut self, why: DecodeError) -> E {
        self.failed = Some(why);
        E::custom("stopped")
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Level {
    /// The whole payload.
    Top,
    /// An element of the array at the top.
    Record,
    /// Inside an object, so many levels down.
    Inside(u8),
}

struct Node<'n, 'w, L> {
    walk: &'n mut Walk<'w, L>,
    level: Level,
}

impl<L: Leaves> Node<'_, '_, L> {
    fn visit<E: Error>(self, leaf: Leaf<'_>) -> Result<(), E> {
        let taken = match self.level {
            Level::Top => self.walk.leaves.bare(leaf),
            Level::Record => Err(DecodeError::Shape { expected: "objects in the array" }),
            Level::Inside(_) => self.walk.leaves.leaf(self.walk.path, leaf),
        };
        taken.map_err(|why| self.walk.stop(why))
    }

    fn members<'de, A: MapAccess<'de>>(&mut self, map: &mut A, depth: u8) -> Result<(), A::Error> {
        let mark = self.walk.path.len();
        if mark > 0 {
            self.walk.path.push('.');
        }
        let start = self.walk.path.len();
        while map.next_key_seed(Key { path: self.walk.path })?.is_some() {
            check_path(self.walk.path).map_err(|why| self.walk.stop(why))?;
            map.next_value_seed(Node { walk: self.walk, level: Level::Inside(depth) })?;
            self.walk.path.truncate(start);
        }
        self.walk.path.truncate(mark);
        Ok(())
    }
}

impl<'de, L: Leaves> DeserializeSeed<'de> for Node<'_, '_, L> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de, L: Leaves> Visitor<'de> for Node<'_, '_, L> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<(), E> {
        self.visit(Leaf::Boolean(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<(), E> {
        self.visit(Leaf::Number(value as f64))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<(), E> {
        self.visit(Leaf::Number(value as f64))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<(), E> {
        self.visit(Leaf::Number(value))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<(), E> {
        self.visit(Leaf::Text(value))
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        self.visit(Leaf::Null)
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        if let Level::Inside(depth) = self.level {
            if depth >= MAX_DEPTH {
                return Err(self.walk.stop(DecodeError::TooDeep { most: MAX_DEPTH }));
            }
            return self.members(&mut map, depth + 1);
        }
        self.walk.leaves.record_begins();
        self.members(&mut map, 1)?;
        self.walk.leaves.record_ends();
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut array: A) -> Result<(), A::Error> {
        match self.level {
            Level::Top => {
                while array.next_element_seed(Node { walk: self.walk, level: Level::Record })?.is_some() {}
            }
            Level::Record => {
                return Err(self.walk.stop(DecodeError::Shape { expected: "objects in the array" }));
            }
            Level::Inside(_) => while array.next_element::<IgnoredAny>()?.is_some() {},
        }
        Ok(())
    }
}

/// Appends a key to the path.
struct Key<'p> {
    path: &'p mut String,
}

impl<'de> DeserializeSeed<'de> for Key<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl Visitor<'_> for Key<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E: Error>(self, key: &str) -> Result<(), E> {
        self.path.push_str(key);
        Ok(())
    }
}
