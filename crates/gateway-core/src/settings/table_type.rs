//! The order of a struct's fields as its author wrote them, which a JSON Schema does not keep.
//!
//! serde's derive hands every deserializer the list of fields; [`Probe`] asks for it and takes nothing else.

use schemars::JsonSchema;
use serde::de::value::Error;
use serde::de::{Deserialize, Deserializer, Error as _, Visitor};
use serde::forward_to_deserialize_any;

/// A struct that describes a table of `gateway.toml`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableType {
    /// Its name in the JSON Schema.
    pub name: String,
    /// Its keys, in the order of the struct.
    pub fields: &'static [&'static str],
}

impl TableType {
    /// The table that `T` describes.
    #[must_use]
    pub fn of<'de, T: Deserialize<'de> + JsonSchema>() -> Self {
        let mut fields: &'static [&'static str] = &[];
        // Always an error: the probe holds no value.
        let _ = T::deserialize(Probe { fields: &mut fields });
        Self { name: T::schema_name().into_owned(), fields }
    }
}

struct Probe<'a> {
    fields: &'a mut &'static [&'static str],
}

impl<'de> Deserializer<'de> for Probe<'_> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Error> {
        Err(Error::custom("not a struct"))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, Error> {
        *self.fields = fields;
        Err(Error::custom("only the fields were asked for"))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit
        unit_struct newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}
