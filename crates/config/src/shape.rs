//! What may stand in `gateway.toml`, made of the model's own JSON Schema: the one source for checking, for reading
//! environment variables, for the example and for the reference.

use adapters::kinds;
use gateway_core::settings::{Calibration, Device, Limits, TableType};
use schemars::SchemaGenerator;
use serde_json::{Map, Value as Json, json};

use crate::model;

/// What may stand at one place.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Shape {
    /// A table with known keys, in the order of the struct.
    Table { doc: String, fields: Vec<Field> },
    /// A table whose names the user chooses.
    Names(Box<Self>),
    /// A list.
    List(Box<Self>),
    /// Text.
    Text(Text),
    /// One of few words, each with what it means.
    Choice(Vec<(String, String)>),
    /// A whole number within limits.
    Integer { min: Option<f64>, max: Option<f64> },
    /// A number within limits.
    Number { min: Option<f64>, max: Option<f64> },
    /// `true` or `false`.
    Boolean,
    /// A number, `true` or `false`: the value of a state.
    State,
}

/// What a text has to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Text {
    /// Anything.
    Plain,
    /// Anything, and it is never shown.
    Secret,
    /// `HumanDuration`.
    Duration,
    /// `HumanDuration`, or `auto`.
    SilentFor,
    /// `ByteSize`.
    Size,
    /// Address and port.
    ListenAddress,
}

/// A key of a table.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Field {
    pub(crate) name: String,
    pub(crate) doc: String,
    /// `None` where leaving the key out means something of its own, or is not allowed.
    pub(crate) default: Option<Json>,
    pub(crate) example: Option<Json>,
    pub(crate) required: bool,
    pub(crate) shape: Shape,
}

/// What stands above `[adapters.*]`.
const ADAPTERS_DOC: &str = "Where readings come from: one table per kind of link, and in it one per name.";

/// What stands above `[sinks.*]`.
const SINKS_DOC: &str =
    "Where results go beside the cloud: one table per kind of sink, and in it one per name.";

/// The schema as published: of the types and of all kinds, without what TOML cannot say (`null`).
pub(crate) fn json_schema() -> Json {
    let mut generator = SchemaGenerator::default();
    let kinds: Vec<_> = kinds::all().iter().map(|kind| (kind, kind.schemas(&mut generator))).collect();
    let sink_schemas: Vec<_> =
        sinks::kinds::all().iter().map(|kind| (kind, kind.schema(&mut generator))).collect();
    let mut schema = generator.into_root_schema_for::<model::Config>().to_value();
    let mut sinks = Map::new();
    for (kind, table) in sink_schemas {
        let table = json!({ "description": kind.doc(), "type": "object", "additionalProperties": table });
        sinks.insert(kind.name().to_owned(), table);
    }
    let mut adapters = Map::new();
    for (kind, schemas) in kinds {
        let table =
            json!({ "description": kind.doc(), "type": "object", "additionalProperties": schemas.table });
        adapters.insert(kind.name().to_owned(), table);
        for (definition, keys) in [("Device", schemas.device), ("Action", schemas.target)] {
            if let Some(properties) = schema.pointer_mut(&format!("/$defs/{definition}/properties")) {
                add_keys(properties, &keys.to_value());
            }
        }
        let payload = schema.pointer_mut("/$defs/Action/properties/payload/description");
        if let Some(Json::String(doc)) = payload
            && !kind.payload_doc().is_empty()
        {
            doc.push(' ');
            doc.push_str(kind.payload_doc());
        }
    }
    if let Some(root) = schema.as_object_mut() {
        root.insert("title".to_owned(), "gateway.toml".into());
    }
    add_section(&mut schema, "Adapters", ADAPTERS_DOC, &adapters);
    add_section(&mut schema, "Sinks", SINKS_DOC, &sinks);
    drop_nulls(&mut schema);
    schema
}

/// Adds a section whose tables belong to kinds: `definition` in small letters, with one key per kind.
fn add_section(schema: &mut Json, definition: &str, doc: &str, kinds: &Map<String, Json>) {
    let Some(root) = schema.as_object_mut() else { return };
    let section =
        json!({ "description": doc, "type": "object", "properties": kinds, "additionalProperties": false });
    if let Some(Json::Object(definitions)) = root.get_mut("$defs") {
        definitions.insert(definition.to_owned(), section);
    }
    if let Some(Json::Object(properties)) = root.get_mut("properties") {
        let reference = json!({ "description": doc, "$ref": format!("#/$defs/{definition}") });
        properties.insert(definition.to_lowercase(), reference);
    }
}

/// Adds a kind's keys. A key that several kinds have is described by all of them.
fn add_keys(properties: &mut Json, keys: &Json) {
    let (Some(properties), Some(keys)) =
        (properties.as_object_mut(), keys.get("properties").and_then(Json::as_object))
    else {
        return;
    };
    for (name, key) in keys {
        let Some(known) = properties.get_mut(name) else {
            properties.insert(name.clone(), key.clone());
            continue;
        };
        let (ours, theirs) = (doc(known), doc(key));
        if !ours.contains(&theirs)
            && let Some(known) = known.as_object_mut()
        {
            known.insert("description".to_owned(), format!("{ours} {theirs}").into());
        }
    }
}

/// The keys of the table with this name in the schema, in the order of their structs; empty where it is unknown (a test
/// finds it).
fn field_order(table: &str) -> Vec<&'static str> {
    let of_kinds = |of: fn(&TableType) -> bool| -> Vec<&'static str> {
        let types = kinds::all().iter().flat_map(|kind| kind.table_types());
        types.filter(of).flat_map(|table| table.fields.iter().copied()).collect()
    };
    let own = table_types().into_iter().find(|known| known.name == table);
    let mut order = own.map_or_else(Vec::new, |known| known.fields.to_vec());
    match table {
        // What kinds bring is read by them, so it is in no struct of ours.
        "Config" => {
            order.insert(order.len().min(3), "adapters");
            order.insert(order.len().min(2), "sinks");
        }
        "Adapters" => order.extend(kinds::all().iter().map(|kind| kind.name())),
        "Sinks" => order.extend(sinks::kinds::all().iter().map(|kind| kind.name())),
        "Device" => order.extend(of_kinds(|table| table.name == "DeviceKeys")),
        "Action" => {
            let last = order.pop();
            order.extend(of_kinds(|table| table.name == "TargetKeys"));
            order.extend(last);
        }
        _ => {}
    }
    order
}

/// The structs behind the tables of the schema.
fn table_types() -> Vec<TableType> {
    let mut types = vec![
        TableType::of::<model::Config>(),
        TableType::of::<model::Gateway>(),
        TableType::of::<sinks::upstream::config::Config>(),
        TableType::of::<sinks::upstream::config::Outbox>(),
        TableType::of::<broker::config::Config>(),
        TableType::of::<broker::config::User>(),
        TableType::of::<broker::config::Bridge>(),
        TableType::of::<broker::config::BridgeTopic>(),
        TableType::of::<Device>(),
        TableType::of::<Calibration>(),
        TableType::of::<Limits>(),
        TableType::of::<model::Aggregate>(),
        TableType::of::<model::Metric>(),
        TableType::of::<model::Anomaly>(),
        TableType::of::<model::Alert>(),
        TableType::of::<model::Escalate>(),
        TableType::of::<model::Action>(),
        TableType::of::<model::Journal>(),
        TableType::of::<model::History>(),
        TableType::of::<gateway_http::config::Config>(),
        TableType::of::<gateway_http::config::Token>(),
    ];
    types.extend(kinds::all().iter().flat_map(|kind| kind.table_types()));
    types.extend(sinks::kinds::all().iter().flat_map(|kind| kind.table_types()));
    types
}

fn drop_nulls(schema: &mut Json) {
    match schema {
        Json::Object(map) => {
            map.retain(|key, value| !(key == "default" && value.is_null()));
            if let Some(Json::Array(types)) = map.get_mut("type") {
                types.retain(|name| name != "null");
                if let [only] = types.as_slice() {
                    let only = only.clone();
                    map.insert("type".to_owned(), only);
                }
            }
            if let Some(Json::Array(any)) = map.get("anyOf")
                && let [Json::Object(first), null] = any.as_slice()
                && null.get("type").is_some_and(|name| name == "null")
            {
                let first = first.clone();
                map.remove("anyOf");
                map.extend(first);
            }
            map.values_mut().for_each(drop_nulls);
        }
        Json::Array(items) => items.iter_mut().for_each(drop_nulls),
        _ => {}
    }
}

impl Shape {
    /// The shape of the whole file.
    pub(crate) fn of_config() -> Self {
        let schema = json_schema();
        Builder { definitions: schema.get("$defs") }.shape("Config", &schema)
    }

    /// What is allowed here, for messages: `a duration such as "30s"`.
    pub(crate) const fn wanted(&self) -> &'static str {
        match self {
            Self::Table { .. } | Self::Names(_) => "a table",
            Self::List(_) => "a list",
            Self::Text(Text::Duration | Text::SilentFor) => "a duration such as \"30s\"",
            Self::Text(Text::Size) => "a size such as \"64KiB\"",
            Self::Text(Text::ListenAddress) => "an address and a port such as \"0.0.0.0:1883\"",
            Self::Text(_) | Self::Choice(_) => "text in quotes",
            Self::Integer { .. } => "a whole number",
            Self::Number { .. } => "a number",
            Self::Boolean => "true or false",
            Self::State => "a number, true or false",
        }
    }
}

struct Builder<'a> {
    definitions: Option<&'a Json>,
}

impl Builder<'_> {
    /// `name` is that of the definition that `schema` is the body of, empty where it has none.
    fn shape(&self, name: &str, schema: &Json) -> Shape {
        if let Some(target) = schema.get("$ref").and_then(Json::as_str) {
            let name = target.trim_start_matches("#/$defs/");
            let body = self.definitions.and_then(|all| all.get(name)).unwrap_or(&Json::Null);
            return self.shape(name, body);
        }
        if name == "StateValue" {
            return Shape::State;
        }
        if let Some(choices) = choices(schema) {
            return Shape::Choice(choices);
        }
        match schema.get("type").and_then(Json::as_str) {
            Some("object") => self.table(name, schema),
            Some("array") => {
                Shape::List(Box::new(self.shape("", schema.get("items").unwrap_or(&Json::Null))))
            }
            Some("integer") => {
                Shape::Integer { min: limit(schema, "minimum"), max: limit(schema, "maximum") }
            }
            Some("number") => Shape::Number { min: limit(schema, "minimum"), max: limit(schema, "maximum") },
            Some("boolean") => Shape::Boolean,
            _ => Shape::Text(match name {
                "Secret" => Text::Secret,
                "Duration" => Text::Duration,
                "SilentFor" => Text::SilentFor,
                "Size" => Text::Size,
                "ListenAddress" => Text::ListenAddress,
                _ => Text::Plain,
            }),
        }
    }

    fn table(&self, name: &str, schema: &Json) -> Shape {
        let Some(properties) = schema.get("properties").and_then(Json::as_object) else {
            let item = schema.get("additionalProperties").unwrap_or(&Json::Null);
            return Shape::Names(Box::new(self.shape("", item)));
        };
        let required = |key: &str| {
            let list = schema.get("required").and_then(Json::as_array);
            list.is_some_and(|list| list.iter().any(|name| name == key))
        };
        let order = field_order(name);
        let mut keys: Vec<_> = properties.iter().collect();
        keys.sort_by_key(|(key, _)| order.iter().position(|field| *field == key.as_str()));
        let fields = keys.into_iter().map(|(key, property)| Field {
            name: key.clone(),
            doc: doc(property),
            default: property.get("default").cloned(),
            example: property.get("examples").and_then(|list| list.get(0)).cloned(),
            required: required(key),
            shape: self.shape("", property),
        });
        Shape::Table { doc: doc(schema), fields: fields.collect() }
    }
}

/// A doc comment's lines as one.
fn doc(schema: &Json) -> String {
    schema.get("description").and_then(Json::as_str).unwrap_or_default().replace('\n', " ")
}

fn limit(schema: &Json, name: &str) -> Option<f64> {
    schema.get(name).and_then(Json::as_f64)
}

/// An enum's words: schemars writes the documented ones as `oneOf`, the others as `enum`.
fn choices(schema: &Json) -> Option<Vec<(String, String)>> {
    if let Some(variants) = schema.get("oneOf").and_then(Json::as_array) {
        let word = |variant: &Json| Some((variant.get("const")?.as_str()?.to_owned(), doc(variant)));
        return variants.iter().map(word).collect();
    }
    let words = schema.get("enum")?.as_array()?;
    words.iter().map(|word| Some((word.as_str()?.to_owned(), String::new()))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn walk(shape: &Shape, path: &str) {
        match shape {
            Shape::Table { doc, fields } => {
                assert!(!doc.is_empty(), "{path} has no doc");
                for field in fields {
                    let path = format!("{path}.{}", field.name);
                    assert!(!field.doc.is_empty(), "{path} has no doc");
                    walk(&field.shape, &path);
                }
            }
            Shape::Names(item) | Shape::List(item) => walk(item, &format!("{path}.*")),
            Shape::Choice(words) => {
                assert!(words.iter().all(|(_, doc)| !doc.is_empty()), "{path}: {words:?}");
            }
            _ => {}
        }
    }

    #[test]
    fn every_table_key_and_word_says_what_it_is_for() {
        walk(&Shape::of_config(), "");
    }

    #[test]
    fn every_table_of_the_schema_has_its_order() {
        let schema = json_schema();
        for (name, body) in schema["$defs"].as_object().unwrap() {
            let Some(properties) = body.get("properties").and_then(|p| p.as_object()) else { continue };
            let mut expected: Vec<_> = properties.keys().map(String::as_str).collect();
            let mut fields = field_order(name);
            expected.sort_unstable();
            fields.sort_unstable();
            fields.dedup();
            assert_eq!(
                fields, expected,
                "{name}: add it to `table_types`, or to `nested_tables` of its kind"
            );
        }
    }

    #[test]
    fn keys_stand_in_the_order_of_their_struct() {
        let Shape::Table { fields, .. } = Shape::of_config() else { panic!() };
        let names: Vec<_> = fields.iter().map(|field| field.name.as_str()).collect();
        let expected = [
            "gateway",
            "upstream",
            "sinks",
            "broker",
            "adapters",
            "devices",
            "aggregate",
            "anomaly",
            "alerts",
            "journal",
            "history",
            "http",
        ];
        assert_eq!(names, expected);
    }

    #[test]
    fn knows_durations_sizes_addresses_secrets_and_limits() {
        let field = |table: &str, key: &str| {
            let Shape::Table { fields, .. } = Shape::of_config() else { panic!() };
            let table = fields.into_iter().find(|field| field.name == table).unwrap();
            let Shape::Table { fields, .. } = table.shape else { panic!() };
            fields.into_iter().find(|field| field.name == key).unwrap()
        };
        assert_eq!(field("aggregate", "every").shape, Shape::Text(Text::Duration));
        assert_eq!(field("broker", "listen").shape, Shape::Text(Text::ListenAddress));
        assert_eq!(field("broker", "max_packet_size").shape, Shape::Text(Text::Size));
        assert_eq!(field("upstream", "password").shape, Shape::Text(Text::Secret));
        assert!(field("upstream", "url").required);
        assert_eq!(field("anomaly", "threshold").shape, Shape::Number { min: Some(0.0), max: Some(1.0) });
        let Shape::Choice(words) = field("upstream", "compression").shape else { panic!() };
        assert_eq!(words[2].0, "zstd");
    }
}
