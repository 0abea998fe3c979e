//! A configuration as a tree in which every key and value knows where it stands; made from TOML text.

use std::collections::BTreeMap;

use gateway_core::findings::{Finding, KeyPath, Level, Location};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// A value and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Node {
    pub(crate) value: Value,
    pub(crate) place: Location,
}

/// A TOML value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    Text(String),
    Integer(i64),
    Float(f64),
    Boolean(bool),
    Datetime,
    List(Vec<Node>),
    Table(BTreeMap<String, Entry>),
}

/// A key's value in a table; `place` is the key's own.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Entry {
    pub(crate) place: Location,
    pub(crate) node: Node,
}

impl Node {
    /// An empty table.
    pub(crate) const fn empty(place: Location) -> Self {
        Self { value: Value::Table(BTreeMap::new()), place }
    }
}

impl Value {
    /// What it is, for messages.
    pub(crate) const fn kind(&self) -> &'static str {
        match self {
            Self::Text(_) => "text",
            Self::Integer(_) => "a whole number",
            Self::Float(_) => "a number",
            Self::Boolean(_) => "a boolean",
            Self::Datetime => "a date",
            Self::List(_) => "a list",
            Self::Table(_) => "a table",
        }
    }
}

/// Reads a whole file. `Err` holds every syntax error.
pub(crate) fn parse(text: &str) -> Result<Node, Vec<Finding>> {
    let lines = Lines::new(text);
    let (table, errors) = DeTable::parse_recoverable(text);
    let mut reader = Reader { places: &|offset| lines.place(offset), problems: Vec::new() };
    reader.problems.extend(errors.iter().map(|error| {
        let place = lines.place(error.span().map_or(0, |span| span.start));
        syntax_error(place, error)
    }));
    let place = lines.place(0);
    let value = reader.table(table.into_inner(), &KeyPath::root());
    if reader.problems.is_empty() { Ok(Node { value, place }) } else { Err(reader.problems) }
}

/// Reads one value, as it stands behind a `=`; all of it is at `place`.
pub(crate) fn parse_value(text: &str, place: &Location, path: &KeyPath) -> Result<Node, Vec<Finding>> {
    let value = DeValue::parse(text)
        .map_err(|error| vec![Finding { key: path.clone(), ..syntax_error(place.clone(), &error) }])?;
    let mut reader = Reader { places: &|_| place.clone(), problems: Vec::new() };
    let node = reader.node(value, path);
    if reader.problems.is_empty() { Ok(node) } else { Err(reader.problems) }
}

fn syntax_error(place: Location, error: &toml::de::Error) -> Finding {
    let text = format!("not TOML: {}", error.message().replace('\n', "; "));
    Finding { place, level: Level::Error, key: KeyPath::root(), text }
}

/// Turns the parser's tree into ours.
struct Reader<'a> {
    places: &'a dyn Fn(usize) -> Location,
    problems: Vec<Finding>,
}

impl Reader<'_> {
    fn table(&mut self, table: DeTable<'_>, path: &KeyPath) -> Value {
        let entries = table.into_iter().map(|(key, value)| {
            let place = (self.places)(key.span().start);
            let name = key.into_inner().into_owned();
            let node = self.node(value, &path.key(&name));
            (name, Entry { place, node })
        });
        Value::Table(entries.collect())
    }

    fn node(&mut self, value: Spanned<DeValue<'_>>, path: &KeyPath) -> Node {
        let place = (self.places)(value.span().start);
        let value = match value.into_inner() {
            DeValue::String(text) => Value::Text(text.into_owned()),
            DeValue::Boolean(on) => Value::Boolean(on),
            DeValue::Datetime(_) => Value::Datetime,
            DeValue::Integer(number) => match i64::from_str_radix(number.as_str(), number.radix()) {
                Ok(number) => Value::Integer(number),
                Err(_) => self.refuse(&place, path, "the number is too large"),
            },
            // What is no number to Rust is none to anybody: validation refuses it with its key.
            DeValue::Float(number) => Value::Float(number.as_str().parse().unwrap_or(f64::NAN)),
            DeValue::Array(items) => Value::List(
                items.into_iter().enumerate().map(|(i, item)| self.node(item, &path.index(i))).collect(),
            ),
            DeValue::Table(table) => self.table(table, path),
        };
        Node { value, place }
    }

    /// The value that stands in for it is never looked at: with a problem there is no tree.
    fn refuse(&mut self, place: &Location, path: &KeyPath, text: &str) -> Value {
        self.problems.push(Finding {
            place: place.clone(),
            level: Level::Error,
            key: path.clone(),
            text: text.to_owned(),
        });
        Value::Datetime
    }
}

/// Where each line of a text begins.
struct Lines<'a> {
    text: &'a str,
    starts: Vec<usize>,
}

impl<'a> Lines<'a> {
    fn new(text: &'a str) -> Self {
        let after_breaks = text.match_indices('\n').map(|(at, _)| at + 1);
        Self { text, starts: std::iter::once(0).chain(after_breaks).collect() }
    }

    fn place(&self, offset: usize) -> Location {
        let line = self.starts.partition_point(|start| *start <= offset).max(1);
        let start = self.starts.get(line - 1).copied().unwrap_or(0);
        // An offset inside a character cannot be; then the column is the line's first.
        let column = self.text.get(start..offset).map_or(0, |before| before.chars().count()) + 1;
        Location::File { line, column }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(line: usize, column: usize) -> Location {
        Location::File { line, column }
    }

    #[test]
    fn knows_where_keys_and_values_stand() {
        let node = parse("[gateway]\n  é.id = \"x\"\n").unwrap_err();
        assert_eq!(node.len(), 1, "a bare key is ASCII: {node:?}");
        let node = parse("[gateway]\n \"é\" = 1\n id = \"x\"\n").unwrap();
        let Value::Table(root) = node.value else { panic!() };
        let gateway = &root["gateway"];
        assert_eq!(gateway.place, place(1, 2));
        let Value::Table(keys) = &gateway.node.value else { panic!() };
        assert_eq!(keys["id"].place, place(3, 2));
        assert_eq!(keys["id"].node.place, place(3, 7));
        assert_eq!(keys["é"].node.place, place(2, 8));
    }

    #[test]
    fn tells_every_syntax_error_with_its_place() {
        let found = parse("a = 1\na = 2\nb = \nc = 99999999999999999999\n").unwrap_err();
        let places: Vec<_> = found.iter().map(|finding| finding.place.clone()).collect();
        assert!(places.contains(&place(2, 1)), "{found:?}");
        assert!(places.iter().any(|at| matches!(at, Location::File { line: 3, .. })), "{found:?}");
        assert!(places.contains(&place(4, 5)), "{found:?}");
    }
}
