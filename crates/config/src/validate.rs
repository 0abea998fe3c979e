//! Compares a tree with the shape: unknown keys, wrong types, values that are not allowed. It finds all of them: what
//! is wrong is reported and taken out, and the rest is checked further.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use adapters::kinds;
use gateway_core::findings::{KeyPath, Location, Report, quoted};
use gateway_core::settings::{ByteSize, HumanDuration};
use gateway_core::suggest::did_you_mean;

use super::document::{Entry, Node, Value};
use super::not_yet;
use super::shape::{Field, Shape, Text};

/// Takes everything out of `node` that `shape` does not allow, and reports why. Returns whether `node` itself may stay.
pub(crate) fn validate(report: &mut Report, shape: &Shape, node: &mut Node, path: &KeyPath) -> bool {
    let keep = Validator { report }.node(shape, node, path);
    if !keep {
        report.damage(path.parent());
    }
    keep
}

/// The message for the unknown key `name` in a table with `fields`.
pub(crate) fn unknown_key(fields: &[Field], name: &str, path: &KeyPath) -> String {
    not_yet::key(path)
        .or_else(|| kinds::left_out(path))
        .or_else(|| sinks::kinds::left_out(path))
        .unwrap_or_else(|| {
            let allowed: Vec<_> = fields.iter().map(|field| field.name.as_str()).collect();
            let meant = did_you_mean(name, allowed.iter().copied());
            let list = format!("; allowed here: {}", allowed.join(", "));
            format!("unknown key{}", if meant.is_empty() { list } else { meant })
        })
}

struct Validator<'a> {
    report: &'a mut Report,
}

impl Validator<'_> {
    fn node(&mut self, shape: &Shape, node: &mut Node, path: &KeyPath) -> bool {
        let place = node.place.clone();
        match (shape, &mut node.value) {
            (Shape::Table { fields, .. }, Value::Table(entries)) => self.table(fields, entries, path),
            (Shape::Names(item), Value::Table(entries)) => self.names(item, entries, path),
            (Shape::List(item), Value::List(nodes)) => self.list(item, nodes, path),
            (Shape::Text(text), Value::Text(value)) => match check_text(*text, value) {
                Ok(()) => true,
                Err(why) => self.refuse(&place, path, why),
            },
            (Shape::Choice(words), Value::Text(value)) => {
                words.iter().any(|(word, _)| word == value)
                    || self.refuse(&place, path, wrong_word(words, value))
            }
            (Shape::Boolean | Shape::State, Value::Boolean(_)) => true,
            (Shape::State, Value::Integer(_)) => true,
            (Shape::State, Value::Float(number)) => number.is_finite(),
            (Shape::Integer { min, max }, Value::Integer(number)) => {
                // Limits are small whole numbers: exact in an f64.
                #[expect(clippy::cast_precision_loss, reason = "only compared with small limits")]
                let value = *number as f64;
                self.limits(&place, path, value, (*min, *max))
            }
            (Shape::Number { min, max }, Value::Integer(number)) => {
                #[expect(clippy::cast_precision_loss, reason = "what TOML users mean by 40 instead of 40.0")]
                let value = *number as f64;
                self.limits(&place, path, value, (*min, *max))
            }
            (Shape::Number { .. }, Value::Float(number)) if !number.is_finite() => {
                self.refuse(&place, path, "the number is not finite".to_owned())
            }
            (Shape::Number { min, max }, Value::Float(number)) => {
                self.limits(&place, path, *number, (*min, *max))
            }
            (_, value) => {
                let kind = value.kind();
                let why = format!("expected {}, found {kind}{}", shape.wanted(), remedy(shape, value));
                self.refuse(&place, path, why)
            }
        }
    }

    fn table(&mut self, fields: &[Field], entries: &mut BTreeMap<String, Entry>, path: &KeyPath) -> bool {
        entries.retain(|name, entry| {
            let path = path.key(name);
            match fields.iter().find(|field| field.name == *name) {
                Some(field) => self.entry(&field.shape, entry, &path),
                None => {
                    self.refuse(&entry.place, &path, unknown_key(fields, name, &path));
                    self.report.damage(path.parent());
                    false
                }
            }
        });
        true
    }

    fn names(&mut self, item: &Shape, entries: &mut BTreeMap<String, Entry>, path: &KeyPath) -> bool {
        entries.retain(|name, entry| self.entry(item, entry, &path.key(name)));
        true
    }

    fn entry(&mut self, shape: &Shape, entry: &mut Entry, path: &KeyPath) -> bool {
        self.report.set_location(path.clone(), entry.place.clone());
        validate(self.report, shape, &mut entry.node, path)
    }

    fn list(&mut self, item: &Shape, nodes: &mut [Node], path: &KeyPath) -> bool {
        // An item with a mistake in it stays, so that the others keep their numbers; a wrong one takes the list along.
        let mut whole = true;
        for (index, node) in nodes.iter_mut().enumerate() {
            let path = path.index(index);
            self.report.set_location(path.clone(), node.place.clone());
            whole &= validate(self.report, item, node, &path);
        }
        whole
    }

    fn limits(
        &mut self,
        place: &Location,
        path: &KeyPath,
        value: f64,
        limits: (Option<f64>, Option<f64>),
    ) -> bool {
        let (min, max) = limits;
        if min.is_none_or(|min| value >= min) && max.is_none_or(|max| value <= max) {
            return true;
        }
        let allowed = match limits {
            (Some(min), Some(max)) => format!("from {min} to {max}"),
            (Some(min), None) => format!("from {min}"),
            (None, Some(max)) => format!("up to {max}"),
            (None, None) => "any".to_owned(),
        };
        self.refuse(place, path, format!("{value} is out of range; allowed: {allowed}"))
    }

    fn refuse(&mut self, place: &Location, path: &KeyPath, why: String) -> bool {
        self.report.error_at(place, path, why);
        false
    }
}

fn check_text(text: Text, value: &str) -> Result<(), String> {
    match text {
        Text::Plain | Text::Secret => Ok(()),
        Text::SilentFor if value == "auto" => Ok(()),
        Text::SilentFor => {
            let wrong =
                |error: gateway_core::settings::ParseError| one_line(&format!("{error}; or \"auto\""));
            value.parse::<HumanDuration>().map(drop).map_err(wrong)
        }
        Text::Duration => {
            value.parse::<HumanDuration>().map(drop).map_err(|error| one_line(&error.to_string()))
        }
        Text::Size => value.parse::<ByteSize>().map(drop).map_err(|error| one_line(&error.to_string())),
        Text::ListenAddress => match value.parse::<SocketAddr>() {
            Ok(_) => Ok(()),
            Err(_) => Err(format!(
                "{} is not an address and a port; write \"127.0.0.1:1883\" for this machine only, \
                 \"0.0.0.0:1883\" or \"[::]:1883\" for all its interfaces",
                quoted(value)
            )),
        },
    }
}

/// Whatever stood in the file, a finding is one line.
fn one_line(text: &str) -> String {
    text.replace(char::is_control, "\u{fffd}")
}

fn wrong_word(words: &[(String, String)], value: &str) -> String {
    let allowed: Vec<_> = words.iter().map(|(word, _)| word.as_str()).collect();
    let list = allowed.iter().map(|word| format!("\"{word}\"")).collect::<Vec<_>>().join(", ");
    let meant = did_you_mean(value, allowed);
    format!("{} is not allowed; allowed: {list}{meant}", quoted(value))
}

/// What helps where somebody wrote the right thing in the wrong type.
fn remedy(shape: &Shape, value: &Value) -> &'static str {
    match (shape, value) {
        (Shape::Integer { .. } | Shape::Number { .. } | Shape::Boolean | Shape::State, Value::Text(_)) => {
            "; leave the quotes out"
        }
        (Shape::List(_), Value::Text(_) | Value::Table(_)) => "; put it in [ ]",
        (Shape::Text(Text::Duration | Text::SilentFor | Text::Size), Value::Integer(_) | Value::Float(_)) => {
            "; write a unit and quotes"
        }
        (Shape::Text(_) | Shape::Choice(_), Value::Integer(_) | Value::Float(_) | Value::Boolean(_)) => {
            "; put it in quotes"
        }
        _ => "",
    }
}
