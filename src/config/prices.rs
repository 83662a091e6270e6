//! What a route costs: one price, one for each network or one by usage, and the rules for some
//! requests.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;

use http::HeaderName;
use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, Error, MapAccess, Visitor};
use toml::Spanned;

use crate::route::{Field, Verb, When};

use super::file::Sections;
use super::mistake::Mistake;
use super::networks::NetworkSettings;
use super::reader::{Reader, header_name};
use super::text::{Text, Written};
use super::units::{Dollars, Price};
use super::usage::{FileUsage, Raw, UsagePrice};
use super::words::Name;

/// A price as typed: for all networks, or for each.
pub(super) struct FilePrice {
    pub(super) span: Range<usize>,
    typed: Typed,
}

enum Typed {
    OnAll(Result<Price, Mistake>),
    OnEach(Sections<Text<Price>>),
    ByUsage(Box<FileUsage>),
}

/// An entry of `price_rules` as typed.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(super) struct FileRule {
    method: Option<Text<Verb>>,
    query: Option<Text<Name>>,
    header: Option<Text<HeaderName>>,
    body: Option<Text<Field>>,
    is: Option<Spanned<Box<str>>>,
    pub(super) price: FilePrice,
}

/// What is to be paid.
pub(super) enum Cost {
    Nothing,
    Prices(Prices),
}

/// A price on each network of a route, as typed and where.
pub(super) struct Prices {
    pub(super) span: Range<usize>,
    on: On,
}

/// Prices by network, with their places.
type Each = BTreeMap<Box<str>, (Dollars, Range<usize>)>;

enum On {
    All(Dollars),
    Each(Each),
    ByUsage(Box<UsagePrice>),
}

impl Prices {
    /// The one on a network of the route.
    pub(super) fn on(&self, network: &str) -> Option<(&Dollars, &Range<usize>)> {
        match &self.on {
            On::All(dollars) => Some((dollars, &self.span)),
            On::Each(each) => each.get(network).map(|(dollars, span)| (dollars, span)),
            On::ByUsage(usage) => Some((&usage.max, &self.span)),
        }
    }

    /// By what an answer says of its usage, if so.
    pub(super) fn usage(&self) -> Option<&UsagePrice> {
        match &self.on {
            On::ByUsage(usage) => Some(usage),
            On::All(_) | On::Each(_) => None,
        }
    }
}

impl FilePrice {
    /// What it stands for on these networks, if they are known.
    pub(super) fn read(
        self,
        networks: Option<&[&NetworkSettings]>,
        reader: &mut Reader<'_>,
    ) -> Option<Cost> {
        let Self { span, typed } = self;
        match typed {
            Typed::OnAll(said) => match reader.take(Text { span: span.clone(), said })? {
                Price::Free => Some(Cost::Nothing),
                Price::Dollars(dollars) => {
                    Some(Cost::Prices(Prices { span, on: On::All(dollars) }))
                }
            },
            Typed::OnEach(typed) => {
                let each = on_each(typed, networks, &span, reader)?;
                Some(Cost::Prices(Prices { span, on: On::Each(each) }))
            }
            Typed::ByUsage(typed) => {
                let usage = Box::new(typed.read(reader)?);
                Some(Cost::Prices(Prices { span, on: On::ByUsage(usage) }))
            }
        }
    }

    /// The same where something must be paid.
    pub(super) fn read_priced(
        self,
        networks: Option<&[&NetworkSettings]>,
        reader: &mut Reader<'_>,
    ) -> Option<Prices> {
        let span = self.span.clone();
        match self.read(networks, reader)? {
            Cost::Prices(prices) => Some(prices),
            Cost::Nothing => {
                reader.wrong(span, not_free());
                None
            }
        }
    }
}

/// The price on each network, all of which must have one and no other.
fn on_each(
    typed: Sections<Text<Price>>,
    networks: Option<&[&NetworkSettings]>,
    whole: &Range<usize>,
    reader: &mut Reader<'_>,
) -> Option<Each> {
    let (mut each, count) = (BTreeMap::new(), typed.len());
    for (name, price) in typed {
        let span = price.span.clone();
        let known = networks.unwrap_or_default().iter().map(|network| &*network.name);
        if networks.is_some() && !known.clone().any(|known| *known == **name.get_ref()) {
            let mistake = Mistake::unknown_name("network of this route", name.get_ref(), known);
            reader.wrong(name.span(), mistake);
            continue;
        }
        match reader.take(price) {
            Some(Price::Dollars(dollars)) => {
                each.insert(name.into_inner(), (dollars, span));
            }
            Some(Price::Free) => reader.wrong(span, not_free()),
            None => {}
        }
    }
    if each.len() < count {
        return None;
    }
    let missing = networks?.iter().find(|network| !each.contains_key(&network.name));
    match missing {
        Some(network) => {
            reader.wrong(whole.clone(), Mistake::NoPriceOn { network: network.name.clone() });
            None
        }
        None => Some(each),
    }
}

impl FileRule {
    /// What it asks, with its price as typed.
    pub(super) fn when(
        self,
        span: Range<usize>,
        reader: &mut Reader<'_>,
    ) -> Option<(When, FilePrice)> {
        let Self { method, query, header, body, is, price } = self;
        let asked = [method.is_some(), query.is_some(), header.is_some(), body.is_some()];
        let asked = asked.into_iter().filter(|asked| *asked).count();
        if asked != 1 {
            reader.wrong(span, Mistake::RuleAsks { asked });
            return None;
        }
        if let Some(method) = method {
            if let Some(is) = is {
                let beside = "beside `method`";
                reader.wrong(is.span(), Mistake::Meaningless { key: "is", beside });
            }
            return Some((When::Method(reader.take(method)?), price));
        }
        let query = reader.take_if(query).map(|Name(name)| name);
        let (header, field) = (reader.take_if(header), reader.take_if(body));
        let Some(is) = is.map(Spanned::into_inner) else {
            reader.wrong(span, Mistake::missing_key("is"));
            return None;
        };
        let when = match (query, header, field) {
            (Some(name), _, _) => When::Query { name, is },
            (_, Some(name), _) => When::Header { name, is },
            (_, _, Some(field)) => When::Body { field, is },
            (None, None, None) => return None,
        };
        Some((when, price))
    }
}

impl Written for Verb {
    const EXPECTED: &'static str = "a method in quotes such as \"POST\"";

    fn read(text: &str) -> Result<Self, Mistake> {
        let names = Self::ALL.into_iter().map(Self::name);
        Self::named(text).ok_or_else(|| Mistake::unknown_name("method", text, names))
    }
}

impl Written for HeaderName {
    const EXPECTED: &'static str = "a header's name in quotes such as \"x-tier\"";

    fn read(text: &str) -> Result<Self, Mistake> {
        header_name(text)
    }
}

impl Written for Field {
    const EXPECTED: &'static str = "a field's name in quotes such as \"mode\"";

    fn read(text: &str) -> Result<Self, Mistake> {
        let instead = "\"mode\", or \"options.mode\" for one within another";
        text.parse().map_err(|_| Mistake::not("a field of JSON", text, instead))
    }
}

fn not_free() -> Mistake {
    Mistake::not("a price", "free", "\"$0.05\", or another price,")
}

impl<'de> Deserialize<'de> for FilePrice {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spanned = Spanned::<Typed>::deserialize(deserializer)?;
        Ok(Self { span: spanned.span(), typed: spanned.into_inner() })
    }
}

impl<'de> Deserialize<'de> for Typed {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TypedVisitor)
    }
}

struct TypedVisitor;

impl<'de> Visitor<'de> for TypedVisitor {
    type Value = Typed;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(Price::EXPECTED)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Typed, E> {
        Ok(Typed::OnAll(Price::read(text)))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Typed, A::Error> {
        let typed: Sections<Text<Raw>> = Sections::deserialize(MapAccessDeserializer::new(map))?;
        if FileUsage::is_one(&typed) {
            return FileUsage::take(typed).map(|usage| Typed::ByUsage(Box::new(usage)));
        }
        let price = |(name, said)| (name, Raw::say(said));
        Ok(Typed::OnEach(typed.into_iter().map(price).collect()))
    }
}
