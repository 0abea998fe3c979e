//! One configuration out of its layers, file < environment < command line, with the crate `config`; and out of that
//! the typed [`Config`].

use std::fmt;

use ::config::{Map, Source, Value as Merged, ValueKind};

use super::document::{Node, Value};
use super::model::Config;
use super::read::read;
use super::shape::{Field, Shape};
use gateway_core::findings::{KeyPath, Report};

/// Puts `layers` over each other, the last on top, and reads the result. Required keys that are missing are reported,
/// and their tables left out. `None` where it cannot be read at all: then the report has an error.
pub(crate) fn merge(layers: Vec<Node>, shape: &Shape, report: &mut Report) -> Option<Config> {
    let mut builder = ::config::Config::builder();
    for node in layers {
        builder = builder.add_source(Layer(node));
    }
    let mut merged = match builder.build() {
        Ok(merged) => merged,
        Err(error) => {
            report.error(&KeyPath::root(), error.to_string());
            return None;
        }
    };
    require(report, shape, &mut merged.cache, &KeyPath::root());
    match merged.try_deserialize().map_err(|error| (KeyPath::root(), error.to_string())).and_then(read) {
        Ok(config) => Some(config),
        Err((path, why)) => {
            // Only what the shape cannot say comes this far.
            report.error(&path, why.replace('\n', " "));
            None
        }
    }
}

/// A tree as a source of the crate `config`.
#[derive(Clone)]
struct Layer(Node);

/// A layer holds secrets.
impl fmt::Debug for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Layer(…)")
    }
}

impl Source for Layer {
    fn clone_into_box(&self) -> Box<dyn Source + Send + Sync> {
        Box::new(self.clone())
    }

    fn collect(&self) -> Result<Map<String, Merged>, ::config::ConfigError> {
        match convert(&self.0.value) {
            ValueKind::Table(map) => Ok(map),
            _ => Ok(Map::new()),
        }
    }
}

fn convert(value: &Value) -> ValueKind {
    let node = |node: &Node| Merged::new(None, convert(&node.value));
    match value {
        Value::Text(text) => ValueKind::String(text.clone()),
        Value::Integer(number) => ValueKind::I64(*number),
        Value::Float(number) => ValueKind::Float(*number),
        Value::Boolean(on) => ValueKind::Boolean(*on),
        Value::Datetime => ValueKind::Nil,
        Value::List(items) => ValueKind::Array(items.iter().map(node).collect()),
        Value::Table(entries) => {
            ValueKind::Table(entries.iter().map(|(name, entry)| (name.clone(), node(&entry.node))).collect())
        }
    }
}

/// Tells which keys are missing in `value`. Whether it is complete.
fn require(report: &mut Report, shape: &Shape, value: &mut Merged, path: &KeyPath) -> bool {
    match (shape, &mut value.kind) {
        (Shape::Table { fields, .. }, ValueKind::Table(map)) => {
            let mut complete = true;
            for field in fields {
                let key = path.key(&field.name);
                let Some(value) = map.get_mut(&field.name) else {
                    if field.required {
                        report.missing(path, &field.name, format!("missing; write it{}", such_as(field)));
                        complete = false;
                    }
                    continue;
                };
                if !require(report, &field.shape, value, &key) {
                    map.remove(&field.name);
                    report.damage(Some(key));
                    complete &= !field.required;
                }
            }
            complete
        }
        (Shape::Names(item), ValueKind::Table(map)) => {
            map.retain(|name, value| {
                let key = path.key(name);
                let complete = require(report, item, value, &key);
                if !complete {
                    report.damage(Some(key));
                }
                complete
            });
            true
        }
        (Shape::List(item), ValueKind::Array(items)) => {
            let mut complete = true;
            for (i, value) in items.iter_mut().enumerate() {
                complete &= require(report, item, value, &path.index(i));
            }
            complete
        }
        _ => true,
    }
}

fn such_as(field: &Field) -> String {
    let example = field.example.as_ref();
    example.map_or_else(String::new, |example| format!(", such as {} = {example}", field.name))
}
