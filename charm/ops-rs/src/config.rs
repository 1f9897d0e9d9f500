//! A charm's configuration as a type of the charm's own.

use std::fmt;

use serde::de::value::StrDeserializer;
use serde::de::{
    self, DeserializeOwned, DeserializeSeed, Deserializer, Expected, IntoDeserializer, MapAccess,
    Unexpected, Visitor,
};
use serde::forward_to_deserialize_any;
use serde_json::{Map, Value};

use crate::tools::ToolError;

/// The configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// It could not be read at all.
    #[error(transparent)]
    Tool(#[from] ToolError),
    /// One option is wrong. The value is not told: it may be a secret.
    #[error("option {option} is wrong: {reason}")]
    Option {
        /// Name of the option.
        option: String,
        /// What is wrong with it, or what would be right.
        reason: String,
    },
}

/// Reads options into `T`, a struct of options named with hyphens (`rename_all = "kebab-case"`).
/// An empty string counts as not set: Juju cannot tell the two apart.
pub(crate) fn read<T: DeserializeOwned>(options: Map<String, Value>) -> Result<T, ConfigError> {
    let set = |value: &Value| !matches!(value, Value::Null) && value.as_str() != Some("");
    let options = options.into_iter().filter(|(_, value)| set(value)).collect::<Vec<_>>();
    T::deserialize(Options(options)).map_err(|error| ConfigError::Option {
        option: error.option.unwrap_or_else(|| "(unknown)".to_owned()),
        reason: error.reason,
    })
}

/// Like serde's own errors, but they remember the option and forget the value.
#[derive(Debug)]
struct OptionError {
    option: Option<String>,
    reason: String,
}

impl OptionError {
    fn of(mut self, option: &str) -> Self {
        self.option.get_or_insert_with(|| option.to_owned());
        self
    }
}

impl fmt::Display for OptionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}

impl std::error::Error for OptionError {}

impl de::Error for OptionError {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self { option: None, reason: message.to_string() }
    }

    fn invalid_type(_: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::custom(format_args!("it must be {expected}"))
    }

    fn invalid_value(_: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::custom(format_args!("it must be {expected}"))
    }

    fn unknown_variant(_: &str, expected: &'static [&'static str]) -> Self {
        Self::custom(format_args!("it must be one of {}", expected.join(", ")))
    }

    fn missing_field(field: &'static str) -> Self {
        Self { option: Some(field.to_owned()), reason: "it must be set".to_owned() }
    }
}

struct Options(Vec<(String, Value)>);

impl<'de> Deserializer<'de> for Options {
    type Error = OptionError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, OptionError> {
        visitor.visit_map(Entries { rest: self.0.into_iter(), current: None })
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 u8 u16 u32 u64 f32 f64 char str string bytes byte_buf option unit
        unit_struct newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

struct Entries {
    rest: std::vec::IntoIter<(String, Value)>,
    current: Option<(String, Value)>,
}

impl<'de> MapAccess<'de> for Entries {
    type Error = OptionError;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, OptionError> {
        self.current = self.rest.next();
        let Some((option, _)) = &self.current else { return Ok(None) };
        let key: StrDeserializer<'_, OptionError> = option.as_str().into_deserializer();
        seed.deserialize(key).map(Some).map_err(|error| error.of(option))
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(
        &mut self,
        seed: V,
    ) -> Result<V::Value, OptionError> {
        let (option, value) =
            self.current.take().ok_or_else(|| de::Error::custom("value without option"))?;
        seed.deserialize(OptionValue(value)).map_err(|error| error.of(&option))
    }
}

struct OptionValue(Value);

impl<'de> Deserializer<'de> for OptionValue {
    type Error = OptionError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, OptionError> {
        match self.0 {
            Value::String(text) => visitor.visit_string(text),
            Value::Bool(value) => visitor.visit_bool(value),
            Value::Number(number) => match (number.as_u64(), number.as_i64(), number.as_f64()) {
                (Some(value), _, _) => visitor.visit_u64(value),
                (None, Some(value), _) => visitor.visit_i64(value),
                (None, None, Some(value)) => visitor.visit_f64(value),
                (None, None, None) => Err(de::Error::custom("it is not a number")),
            },
            Value::Null | Value::Array(_) | Value::Object(_) => {
                Err(de::Error::custom("it must be a text, a number or a boolean"))
            }
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, OptionError> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, OptionError> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, OptionError> {
        match self.0 {
            Value::String(text) => visitor.visit_enum(text.into_deserializer()),
            _ => Err(de::Error::custom("it must be a text")),
        }
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 u8 u16 u32 u64 f32 f64 char str string bytes byte_buf unit unit_struct
        seq tuple tuple_struct map struct identifier ignored_any
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[derive(Debug, PartialEq, serde::Deserialize)]
    #[serde(rename_all = "kebab-case")]
    struct Demo {
        name: Option<String>,
        port: u16,
        #[serde(default)]
        rate: f64,
        level: Option<Level>,
        even: Option<Even>,
    }

    #[derive(Debug, PartialEq, serde::Deserialize)]
    #[serde(rename_all = "lowercase")]
    enum Level {
        Info,
        Debug,
    }

    #[derive(Debug, PartialEq, serde::Deserialize)]
    #[serde(try_from = "u32")]
    struct Even(u32);

    impl TryFrom<u32> for Even {
        type Error = &'static str;

        fn try_from(value: u32) -> Result<Self, Self::Error> {
            if value.is_multiple_of(2) { Ok(Self(value)) } else { Err("it must be even") }
        }
    }

    fn demo(options: Value) -> Result<Demo, String> {
        let Value::Object(options) = options else { panic!("an object") };
        read(options).map_err(|error| error.to_string())
    }

    #[test]
    fn options_become_fields_and_an_empty_text_is_not_set() {
        let read = demo(json!({"name": "", "port": 443, "rate": 5, "level": "debug", "even": 2}));
        let wanted = Demo {
            name: None,
            port: 443,
            rate: 5.0,
            level: Some(Level::Debug),
            even: Some(Even(2)),
        };
        assert_eq!(read.unwrap(), wanted);
    }

    #[test]
    fn a_wrong_option_is_named_and_its_value_is_not() {
        for (options, wanted) in [
            (json!({"port": 77777}), "option port is wrong: it must be u16"),
            (json!({"port": "secret"}), "option port is wrong: it must be u16"),
            (
                json!({"port": 1, "level": "loud"}),
                "option level is wrong: it must be one of info, debug",
            ),
            (json!({"port": 1, "even": 3}), "option even is wrong: it must be even"),
            (json!({"port": 1, "name": 12345}), "option name is wrong: it must be a string"),
            (
                json!({"port": 1, "name": [1]}),
                "option name is wrong: it must be a text, a number or a boolean",
            ),
            (json!({}), "option port is wrong: it must be set"),
        ] {
            assert_eq!(demo(options).unwrap_err(), wanted);
        }
    }

    #[test]
    fn options_of_another_release_are_ignored() {
        assert!(demo(json!({"port": 1, "unheard-of": true})).is_ok());
    }
}
