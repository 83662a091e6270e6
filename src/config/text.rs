//! Strings of the file that stand for something, with their place kept for the message.

use std::fmt;
use std::marker::PhantomData;
use std::ops::Range;

use serde::de::{Deserialize, Deserializer, Error, SeqAccess, Visitor};
use toml::Spanned;

use super::mistake::Mistake;

/// What a string of the file can stand for.
pub(super) trait Written: Sized {
    /// What is expected, for the message when the value is no string at all.
    const EXPECTED: &'static str;

    /// Reads the string.
    fn read(text: &str) -> Result<Self, Mistake>;
}

/// A string of the file: what it stands for, or why it stands for nothing.
///
/// A bad string is no error of serde's, so that one run can name all of them, with hints.
pub(super) struct Text<T> {
    pub(super) span: Range<usize>,
    pub(super) said: Result<T, Mistake>,
}

impl<'de, T: Written> Deserialize<'de> for Text<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spanned = Spanned::<Said<T>>::deserialize(deserializer)?;
        Ok(Self { span: spanned.span(), said: spanned.into_inner().0 })
    }
}

struct Said<T>(Result<T, Mistake>);

impl<'de, T: Written> Deserialize<'de> for Said<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(SaidVisitor(PhantomData))
    }
}

struct SaidVisitor<T>(PhantomData<T>);

impl<T: Written> Visitor<'_> for SaidVisitor<T> {
    type Value = Said<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(T::EXPECTED)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Said<T>, E> {
        Ok(Said(T::read(text)))
    }
}

/// One string, or a list of them.
pub(super) struct OneOrMany<T> {
    pub(super) span: Range<usize>,
    pub(super) items: Vec<Text<T>>,
}

impl<'de, T: Written> Deserialize<'de> for OneOrMany<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spanned = Spanned::<Items<T>>::deserialize(deserializer)?;
        let span = spanned.span();
        let items = match spanned.into_inner() {
            Items::One(said) => vec![Text { span: span.clone(), said }],
            Items::Many(items) => items,
        };
        Ok(Self { span, items })
    }
}

enum Items<T> {
    One(Result<T, Mistake>),
    Many(Vec<Text<T>>),
}

impl<'de, T: Written> Deserialize<'de> for Items<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ItemsVisitor(PhantomData))
    }
}

struct ItemsVisitor<T>(PhantomData<T>);

impl<'de, T: Written> Visitor<'de> for ItemsVisitor<T> {
    type Value = Items<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, or a list of them", T::EXPECTED)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Items<T>, E> {
        Ok(Items::One(T::read(text)))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Items<T>, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = list.next_element()? {
            items.push(item);
        }
        Ok(Items::Many(items))
    }
}
