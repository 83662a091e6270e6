//! `[[bypass]]`: who need not pay.

use std::sync::Arc;

use toml::Spanned;

use crate::access::Bypass;
use crate::digest::Digest;
use crate::route::Route;

use super::file::FileBypass;
use super::mistake::Mistake;
use super::reader::Reader;
use super::text::{Text, Written};
use super::words::Name;

/// Reads all of them. The routes are those that have been read without a mistake.
pub(super) fn bypasses(
    typed: Vec<Spanned<FileBypass>>,
    routes: &[Arc<Route>],
    reader: &mut Reader<'_>,
) -> Vec<Bypass> {
    let read = typed.into_iter().filter_map(|typed| {
        let span = typed.span();
        let FileBypass { name, addresses, keys, routes: named } = typed.into_inner();
        if addresses.is_empty() && keys.is_empty() {
            reader.wrong(span, Mistake::Neither("`addresses`", "`keys`"));
        }
        Some(Bypass {
            name: reader.take(name).map(|Name(name)| name.into())?,
            addresses: reader.take_all(addresses),
            keys: reader.take_all(keys),
            routes: of_routes(named, routes, reader),
        })
    });
    read.collect()
}

fn of_routes(
    named: Vec<Text<RouteName>>,
    routes: &[Arc<Route>],
    reader: &mut Reader<'_>,
) -> Vec<Box<str>> {
    let known = || routes.iter().map(|route| &*route.name);
    let mut found = Vec::new();
    for typed in named {
        let span = typed.span.clone();
        let Some(RouteName(name)) = reader.take(typed) else { continue };
        if !known().any(|known| *known == *name) {
            reader.wrong(span, Mistake::unknown_name("route", &name, known()));
        }
        found.push(name);
    }
    found
}

/// What a route is called; without a `name` that is its `match`.
pub(super) struct RouteName(Box<str>);

impl Written for RouteName {
    const EXPECTED: &'static str = "a route's name in quotes";

    fn read(text: &str) -> Result<Self, Mistake> {
        Ok(Self(text.into()))
    }
}

impl Written for Digest {
    const EXPECTED: &'static str = "\"sha256:\" and 64 hex digits, in quotes";

    fn read(text: &str) -> Result<Self, Mistake> {
        // What was typed may be the key itself, and is not repeated.
        let digits = text.strip_prefix("sha256:").ok_or(Mistake::KeyDigest)?;
        digits.parse().map_err(|_| Mistake::KeyDigest)
    }
}
