//! Reads the file: every problem at once, each with its place and what would be right.

use std::collections::BTreeMap;
use std::ops::Range;

use gateway_core::suggest::did_you_mean;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::number::Number;
use super::{Bits, Field, MAX_FIELDS, StructCodec};
use crate::{CodecError, MAX_NAME_BYTES, SourcePosition};

const FIELD_KEYS: [&str; 7] = ["name", "type", "at", "bits", "scale", "offset", "unit"];
const LONGEST_UNIT: usize = 32;

/// Where payloads end at the latest: LoRaWAN's largest is 242 bytes, MQTT's larger.
const LAST_BYTE: usize = crate::MAX_PAYLOAD_BYTES;

/// The codec in `text`; `file` is its name, for errors.
pub(crate) fn parse(file: &str, text: &str) -> Result<StructCodec, Vec<CodecError>> {
    let mut problems = Problems { file, text, found: Vec::new() };
    let codec = problems.file();
    match codec {
        Some(codec) if problems.found.is_empty() => Ok(codec),
        _ => Err(problems.found),
    }
}

type Table<'a> = DeTable<'a>;
type Node<'a> = Spanned<DeValue<'a>>;

struct Problems<'a> {
    file: &'a str,
    text: &'a str,
    found: Vec<CodecError>,
}

impl Problems<'_> {
    fn add(&mut self, span: &Range<usize>, problem: String) {
        let before = self.text.get(..span.start).unwrap_or(self.text);
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        let place = u32::try_from(line).ok().zip(u32::try_from(column).ok());
        self.found.push(CodecError::File {
            file: self.file.to_owned(),
            place: SourcePosition(place),
            problem,
        });
    }

    fn file(&mut self) -> Option<StructCodec> {
        let (table, errors) = Table::parse_recoverable(self.text);
        for error in &errors {
            let problem = format!("not TOML: {}", error.message().replace('\n', "; "));
            self.add(&error.span().unwrap_or(0..0), problem);
        }
        if !errors.is_empty() {
            return None;
        }
        let span = table.span();
        let table = table.into_inner();
        self.only(&table, "", &["fields", "ports"]);
        let fields = table.get("fields").and_then(|fields| self.fields(fields, "fields"));
        let mut ports = BTreeMap::new();
        if let Some(node) = table.get("ports") {
            self.ports(node, &mut ports);
        }
        if table.get("fields").is_none() && table.get("ports").is_none() {
            self.add(&span, "a codec needs `fields`, or `[ports.<FPort>]` with `fields`".to_owned());
        }
        Some(StructCodec { fields, ports })
    }

    /// Finds keys that mean nothing.
    fn only(&mut self, table: &Table<'_>, path: &str, allowed: &[&str]) {
        for key in table.keys() {
            let name = key.get_ref();
            if !allowed.contains(&&**name) {
                let meant = did_you_mean(name, allowed.iter().copied());
                let dot = if path.is_empty() { "" } else { "." };
                let problem =
                    format!("{path}{dot}{name}: unknown key{meant} (allowed: {})", allowed.join(", "));
                self.add(&key.span(), problem);
            }
        }
    }

    fn ports(&mut self, node: &Node<'_>, ports: &mut BTreeMap<u8, Vec<Field>>) {
        let Some(table) = self.table(node, "ports") else { return };
        for (key, node) in table {
            let path = format!("ports.{}", key.get_ref());
            let Some(port) = key.get_ref().parse().ok().filter(|port| *port > 0) else {
                self.add(&key.span(), format!("{path}: an FPort is a whole number from 1 to 255"));
                continue;
            };
            let Some(table) = self.table(node, &path) else { continue };
            self.only(table, &path, &["fields"]);
            match table.get("fields") {
                Some(fields) => {
                    ports.extend(self.fields(fields, &format!("{path}.fields")).map(|fields| (port, fields)));
                }
                None => self.add(&key.span(), format!("{path}: `fields` is missing")),
            }
        }
    }

    fn table<'n, 'a>(&mut self, node: &'n Node<'a>, path: &str) -> Option<&'n Table<'a>> {
        let table = node.get_ref().as_table();
        if table.is_none() {
            self.add(&node.span(), format!("{path}: expected a table"));
        }
        table
    }

    fn fields(&mut self, node: &Node<'_>, path: &str) -> Option<Vec<Field>> {
        let Some(list) = node.get_ref().as_array() else {
            self.add(&node.span(), format!("{path}: expected a list, [{{ name = …, type = … }}, …]"));
            return None;
        };
        if !(1..=MAX_FIELDS).contains(&list.len()) {
            self.add(&node.span(), format!("{path}: {} fields; 1 to {MAX_FIELDS} are taken", list.len()));
            return None;
        }
        let mut fields: Vec<Field> = Vec::new();
        for (index, node) in list.iter().enumerate() {
            let path = format!("{path}[{index}]");
            let next = fields.last().map_or(0, Field::end);
            let Some(field) = self.field(node, &path, next) else { continue };
            if fields.iter().any(|known| known.name == field.name) {
                self.add(&node.span(), format!("{path}.name: `{}` stands twice", field.name));
            }
            fields.push(field);
        }
        Some(fields)
    }

    fn field(&mut self, node: &Node<'_>, path: &str, next: usize) -> Option<Field> {
        let table = self.table(node, path)?;
        self.only(table, path, &FIELD_KEYS);
        let span = node.span();
        let name = self.name(table, path, &span);
        let number = self.number(table, path, &span);
        let at = self.at(table, path).unwrap_or(next);
        let scale = self.float(table, path, "scale").unwrap_or(1.0);
        let offset = self.float(table, path, "offset").unwrap_or(0.0);
        let unit = self.unit(table, path);
        let number = number?;
        let bits = self.bits(table, path, number);
        let field = Field { name: name?, at, number, bits, scale, offset, unit };
        if field.is_state() && (table.contains_key("scale") || table.contains_key("offset")) {
            self.add(&span, format!("{path}: one bit is a state, 0 or 1, without `scale` and `offset`"));
        }
        Some(field)
    }

    fn name(&mut self, table: &Table<'_>, path: &str, span: &Range<usize>) -> Option<String> {
        let Some(node) = table.get("name") else {
            self.add(span, format!("{path}: `name` is missing"));
            return None;
        };
        let name = node.get_ref().as_str();
        let good = name.filter(|name| (1..=MAX_NAME_BYTES).contains(&name.len()));
        if good.is_none() {
            self.add(&node.span(), format!("{path}.name: expected a text of 1 to {MAX_NAME_BYTES} bytes"));
        }
        good.map(str::to_owned)
    }

    fn number(&mut self, table: &Table<'_>, path: &str, span: &Range<usize>) -> Option<Number> {
        let Some(node) = table.get("type") else {
            self.add(span, format!("{path}: `type` is missing, such as \"i16be\""));
            return None;
        };
        let name = node.get_ref().as_str().unwrap_or_default();
        let number = Number::by_name(name);
        if number.is_none() {
            let [big, little] = [format!("{name}be"), format!("{name}le")];
            let meant = if Number::by_name(&big).is_some() {
                format!("; say the order of its bytes: \"{big}\" or \"{little}\"")
            } else {
                did_you_mean(name, Number::names())
            };
            let all: Vec<_> = Number::names().collect();
            self.add(
                &node.span(),
                format!("{path}.type: there is no type \"{name}\"{meant} (there are: {})", all.join(", ")),
            );
        }
        number
    }

    fn at(&mut self, table: &Table<'_>, path: &str) -> Option<usize> {
        let node = table.get("at")?;
        let at = whole(node).and_then(|at| usize::try_from(at).ok()).filter(|at| *at < LAST_BYTE);
        if at.is_none() {
            self.add(&node.span(), format!("{path}.at: expected a byte's number, counted from 0"));
        }
        at
    }

    fn float(&mut self, table: &Table<'_>, path: &str, key: &str) -> Option<f64> {
        let node = table.get(key)?;
        let number = match node.get_ref() {
            DeValue::Float(number) => number.as_str().parse().ok(),
            _ => whole(node).map(|number| number as f64),
        };
        let good = number.filter(|number: &f64| number.is_finite() && (key != "scale" || *number != 0.0));
        if good.is_none() {
            let not_zero = if key == "scale" { " other than 0" } else { "" };
            self.add(&node.span(), format!("{path}.{key}: expected a number{not_zero}"));
        }
        good
    }

    fn unit(&mut self, table: &Table<'_>, path: &str) -> Option<String> {
        let node = table.get("unit")?;
        let unit = node.get_ref().as_str().filter(|unit| (1..=LONGEST_UNIT).contains(&unit.len()));
        if unit.is_none() {
            self.add(&node.span(), format!("{path}.unit: expected a text such as \"Cel\""));
        }
        unit.map(str::to_owned)
    }

    /// `bits = 3`, or `bits = "3..5"`: three bits, the last one included.
    fn bits(&mut self, table: &Table<'_>, path: &str, number: Number) -> Option<Bits> {
        let node = table.get("bits")?;
        let range = match node.get_ref().as_str() {
            Some(text) => {
                text.split_once("..").and_then(|(a, b)| a.trim().parse().ok().zip(b.trim().parse().ok()))
            }
            None => whole(node).and_then(|bit| u8::try_from(bit).ok()).map(|bit| (bit, bit)),
        };
        let bits = number.whole_bits();
        let good = range.filter(|(first, last): &(u8, u8)| first <= last && usize::from(*last) < bits);
        let Some((first, last)) = good else {
            let problem = if bits == 0 {
                format!("{path}.bits: only whole numbers have bits to pick")
            } else {
                let last = bits - 1;
                format!(
                    "{path}.bits: expected a bit from 0 to {last}, or several as \"0..{last}\", the last included"
                )
            };
            self.add(&node.span(), problem);
            return None;
        };
        Some(Bits { first, count: last - first + 1 })
    }
}

fn whole(node: &Node<'_>) -> Option<i64> {
    let number = node.get_ref().as_integer()?;
    i64::from_str_radix(number.as_str(), number.radix()).ok()
}
