//! Single keys set from outside the file: `RISER__UPSTREAM__URL=…` in the environment, `--set upstream.url=…` on the
//! command line.
//!
//! The shape says what a value's text is turned into; lists and tables are written as in TOML. Names are compared
//! without case and with `-` and `_` alike, first with those in the file: `RISER__DEVICES__ROOF_2__ZONE` is
//! `zone` of `[devices.Roof-2]` where the file has that, else of `[devices.roof_2]`.

use std::collections::BTreeMap;
use std::ffi::OsString;

use super::document::{Entry, Node, Value, parse_value};
use super::shape::Shape;
use super::validate::{unknown_key, validate};
use gateway_core::findings::{Finding, KeyPath, Location, Report};

/// What variables begin with that set a key.
pub(crate) const PREFIX: &str = "RISER__";

/// One key to set.
pub(crate) struct Override {
    place: Location,
    names: Vec<String>,
    text: String,
}

/// The overrides of `--set KEY=VALUE`, as they were given; one without a `=` is reported.
pub(crate) fn from_flags(flags: &[String], report: &mut Report) -> Vec<Override> {
    let mut found = Vec::new();
    for flag in flags {
        match flag.split_once('=') {
            Some((key, text)) => found.push(Override {
                place: Location::Flag(key.to_owned()),
                names: key.split('.').map(str::to_owned).collect(),
                text: text.to_owned(),
            }),
            None => {
                let place = Location::Flag(flag.clone());
                report.error_at(&place, &KeyPath::root(), "write KEY=VALUE: --set gateway.id=hq-north");
            }
        }
    }
    found
}

/// The overrides in these environment variables, in the order of their names; values that are not text are reported.
pub(crate) fn from_environment(
    variables: impl IntoIterator<Item = (OsString, OsString)>,
    report: &mut Report,
) -> Vec<Override> {
    let mut found = Vec::new();
    for (name, value) in variables {
        let name = name.to_string_lossy().into_owned();
        let Some(rest) = name.strip_prefix(PREFIX) else { continue };
        let names = rest.split("__").map(str::to_lowercase).collect();
        let place = Location::Environment(name.chars().filter(|c| !c.is_control()).collect());
        match value.into_string() {
            Ok(text) => found.push(Override { place, names, text }),
            Err(_) => report.error_at(&place, &KeyPath::root(), "the value is not UTF-8"),
        }
    }
    found.sort_by(|a, b| a.place.cmp(&b.place));
    found
}

/// A tree of all `overrides` that fit `shape`; the others are reported. `file` is where names are looked up.
pub(crate) fn tree(overrides: Vec<Override>, shape: &Shape, file: &Node, report: &mut Report) -> Node {
    let mut tree = Node::empty(Location::Environment(PREFIX.to_owned()));
    for one in overrides {
        let known = [file.clone(), tree.clone()];
        let target = find(shape, known.iter().collect(), &one.names, report, &one.place);
        let Some(target) = target else { continue };
        let Some(mut node) = read(target.shape, &one, &target.path, report) else { continue };
        if validate(report, target.shape, &mut node, &target.path) {
            report.set_location(target.path, one.place.clone());
            insert(&mut tree, &target.names, node);
        }
    }
    tree
}

struct Target<'a> {
    shape: &'a Shape,
    names: Vec<String>,
    path: KeyPath,
}

/// Follows `names` down the shape. `known` are the tables that stand there already.
fn find<'a>(
    mut shape: &'a Shape,
    mut known: Vec<&Node>,
    names: &[String],
    report: &mut Report,
    place: &Location,
) -> Option<Target<'a>> {
    let mut path = KeyPath::root();
    let mut real = Vec::new();
    for name in names {
        let found = match shape {
            Shape::Table { fields, .. } => match fields.iter().find(|field| alike(&field.name, name)) {
                Some(field) => Ok((&field.shape, field.name.clone())),
                None => Err(unknown_key(fields, name, &path.key(name))),
            },
            Shape::Names(item) => existing(&known, name).map(|name| (&**item, name)),
            _ => Err(format!("`{path}` is no table: there is nothing in it to set")),
        };
        match found {
            Ok((next, name)) => {
                path = path.key(&name);
                known = known.into_iter().filter_map(|node| child(node, &name)).collect();
                real.push(name);
                shape = next;
            }
            Err(why) => {
                report.error_at(place, &path.key(name), why);
                return None;
            }
        }
    }
    Some(Target { shape, names: real, path })
}

/// The name in the tables that `name` stands for; itself where there is none.
fn existing(known: &[&Node], name: &str) -> Result<String, String> {
    let mut found: Vec<&String> =
        known.iter().flat_map(|node| keys(node)).filter(|key| alike(key, name)).collect();
    found.sort();
    found.dedup();
    match found.as_slice() {
        [] => Ok(name.to_owned()),
        [only] => Ok((*only).clone()),
        [first, second, ..] => {
            Err(format!("can stand for `{first}` and for `{second}`; set it in the file instead"))
        }
    }
}

fn keys(node: &Node) -> impl Iterator<Item = &String> {
    let entries = if let Value::Table(entries) = &node.value { Some(entries) } else { None };
    entries.into_iter().flat_map(BTreeMap::keys)
}

fn child<'a>(node: &'a Node, name: &str) -> Option<&'a Node> {
    let Value::Table(entries) = &node.value else { return None };
    entries.get(name).map(|entry| &entry.node)
}

fn alike(a: &str, b: &str) -> bool {
    let plain = |text: &str| text.to_lowercase().replace('-', "_");
    plain(a) == plain(b)
}

/// The override's text as the value that the shape wants.
fn read(shape: &Shape, one: &Override, path: &KeyPath, report: &mut Report) -> Option<Node> {
    let text = one.text.as_str();
    let value = match shape {
        Shape::Text(_) | Shape::Choice(_) => Some(Value::Text(text.to_owned())),
        Shape::Boolean => text.parse().ok().map(Value::Boolean),
        Shape::State => {
            let number = || text.parse().ok().filter(|number: &f64| number.is_finite()).map(Value::Float);
            text.parse().ok().map(Value::Boolean).or_else(number)
        }
        Shape::Integer { .. } => text.parse().ok().map(Value::Integer),
        Shape::Number { .. } => text.parse().ok().filter(|number: &f64| number.is_finite()).map(Value::Float),
        Shape::List(_) | Shape::Table { .. } | Shape::Names(_) => {
            return match parse_value(text, &one.place, path) {
                Ok(node) => Some(node),
                Err(problems) => {
                    report.findings.extend(problems.into_iter().map(|problem| Finding {
                        text: format!("{}; expected {} as in TOML", problem.text, shape.wanted()),
                        ..problem
                    }));
                    None
                }
            };
        }
    };
    if value.is_none() {
        report.error_at(&one.place, path, format!("expected {}", shape.wanted()));
    }
    value.map(|value| Node { value, place: one.place.clone() })
}

/// Puts `node` where `names` lead, with tables on the way; a table is put over what stands there key by key.
fn insert(tree: &mut Node, names: &[String], node: Node) {
    let Value::Table(entries) = &mut tree.value else { return };
    match names {
        [] => {
            if let Value::Table(new) = node.value {
                entries.extend(new);
            }
        }
        [last] => {
            let merged = match (entries.remove(last), node.value) {
                (Some(Entry { node: Node { value: Value::Table(mut old), .. }, .. }), Value::Table(new)) => {
                    old.extend(new);
                    Value::Table(old)
                }
                (_, value) => value,
            };
            let node = Node { value: merged, place: node.place.clone() };
            entries.insert(last.clone(), Entry { place: node.place.clone(), node });
        }
        [first, rest @ ..] => {
            let place = node.place.clone();
            let entry = entries
                .entry(first.clone())
                .or_insert_with(|| Entry { place: place.clone(), node: Node::empty(place) });
            insert(&mut entry.node, rest, node);
        }
    }
}
