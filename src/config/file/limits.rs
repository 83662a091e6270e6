//! `[limits]` as typed, and limits elsewhere.

use std::fmt;
use std::num::NonZeroU32;
use std::ops::Range;

use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, Error, MapAccess, Unexpected, Visitor};
use toml::Spanned;

use crate::config::text::Text;
use crate::config::units::Timeout;
use crate::limit::{By, Rate};

use super::{FileSecret, Sections};

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(in crate::config) struct FileLimits {
    pub(in crate::config) unpaid: Option<FileSwitch>,
    pub(in crate::config) refused: Option<FileSwitch>,
    #[serde(default)]
    pub(in crate::config) class: Sections<FileLimit>,
    pub(in crate::config) store: Option<Spanned<FileSecret>>,
    pub(in crate::config) timeout: Option<Text<Timeout>>,
    pub(in crate::config) replicas: Option<Spanned<NonZeroU32>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(in crate::config) struct FileLimit {
    pub(in crate::config) rate: Text<Rate>,
    pub(in crate::config) by: Text<By>,
}

/// A limit, or `"off"`.
pub(in crate::config) enum FileSwitch {
    Off,
    On(FileLimit),
}

impl FileSwitch {
    /// Where its rate stands.
    pub(in crate::config) fn place(&self) -> Option<Range<usize>> {
        match self {
            Self::Off => None,
            Self::On(limit) => Some(limit.rate.span.clone()),
        }
    }
}

impl<'de> Deserialize<'de> for FileSwitch {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(SwitchVisitor)
    }
}

struct SwitchVisitor;

impl<'de> Visitor<'de> for SwitchVisitor {
    type Value = FileSwitch;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("{ rate = \"30/min\", by = \"ip\" } or \"off\"")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<FileSwitch, E> {
        match text {
            "off" => Ok(FileSwitch::Off),
            other => Err(E::invalid_value(Unexpected::Str(other), &self)),
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<FileSwitch, A::Error> {
        FileLimit::deserialize(MapAccessDeserializer::new(map)).map(FileSwitch::On)
    }
}
