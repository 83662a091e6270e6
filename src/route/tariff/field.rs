//! One field of a JSON object, read as any server behind us would read it, or not at all.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, Visitor};

use super::folded;

/// Where a field stands: the names on the way to it. Never empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Field(Vec<Box<str>>);

/// Why a field cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FieldError {
    /// Not JSON.
    #[error("not JSON")]
    NotJson,
    /// It is there twice, or in another spelling, or is no text, whole number, true or false.
    #[error("the field has two readings")]
    TwoReadings,
}

/// A text that is no field's place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("names with points between")]
pub struct FieldNameError;

impl Field {
    /// The names on the way.
    pub fn names(&self) -> &[Box<str>] {
        &self.0
    }

    /// What stands there, as text; nothing when it is not there or `null`.
    ///
    /// # Errors
    /// Servers could read it in different ways, or not at all.
    pub fn of(&self, json: &[u8]) -> Result<Option<Box<str>>, FieldError> {
        let mut reader = serde_json::Deserializer::from_slice(json);
        let found = Seek(&self.0).deserialize(&mut reader);
        let found = found.and_then(|found| reader.end().map(|()| found));
        found.map_err(|error| match error.classify() {
            serde_json::error::Category::Data => FieldError::TwoReadings,
            _ => FieldError::NotJson,
        })
    }
}

impl FromStr for Field {
    type Err = FieldNameError;

    fn from_str(text: &str) -> Result<Self, FieldNameError> {
        let fits = |name: &str| !name.is_empty() && !name.contains(char::is_whitespace);
        let names: Vec<_> = text.split('.').collect();
        if names.len() > DEPTH_MAX || !names.iter().all(|name| fits(name)) {
            return Err(FieldNameError);
        }
        Ok(Self(names.into_iter().map(Into::into).collect()))
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("."))
    }
}

/// Looks for what stands at the end of these names.
struct Seek<'a>(&'a [Box<str>]);

impl<'de> DeserializeSeed<'de> for Seek<'_> {
    type Value = Option<Box<str>>;

    fn deserialize<D: Deserializer<'de>>(self, value: D) -> Result<Self::Value, D::Error> {
        value.deserialize_any(self)
    }
}

impl Seek<'_> {
    /// A value that is no object.
    fn scalar<E: Error>(self, text: impl Into<Box<str>>) -> Result<Option<Box<str>>, E> {
        match self.0 {
            [] => Ok(Some(text.into())),
            [_, ..] => Err(E::custom("an object is expected")),
        }
    }
}

impl<'de> Visitor<'de> for Seek<'_> {
    type Value = Option<Box<str>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object, or text, a whole number, true or false")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        self.scalar(text)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Self::Value, E> {
        self.scalar(value.to_string())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Self::Value, E> {
        self.scalar(value.to_string())
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Self::Value, E> {
        self.scalar(value.to_string())
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let Some((name, rest)) = self.0.split_first() else {
            return Err(A::Error::custom("an object is no text"));
        };
        let mut found: Option<Option<Box<str>>> = None;
        let wanted = folded(name);
        while let Some(key) = map.next_key::<Cow<'_, str>>()? {
            if *key == **name && found.is_none() {
                found = Some(map.next_value_seed(Seek(rest))?);
            } else if folded(&key) == wanted {
                return Err(A::Error::custom("the field is there in two spellings, or twice"));
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(found.flatten())
    }
}

/// Names on the way to a field.
const DEPTH_MAX: usize = 8;
