//! `[limits]`: how much is let through, and for whom.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use toml::Spanned;

use crate::limit::{By, ClassSettings, Rate, Settings, Store, StoreUrl};
use crate::route::Route;
use crate::route::upstream::SecretSource;

use super::file::{FileLimit, FileLimits, FileSwitch};
use super::mistake::Mistake;
use super::reader::{Reader, Section};
use super::text::Text;
use super::units::Timeout;

/// Reads the two limits of client addresses and those of the classes.
pub(super) fn limits(
    typed: FileLimits,
    classes: BTreeMap<Box<str>, Section<FileLimit>>,
    reader: &mut Reader<'_>,
) -> Settings {
    let mut typed = typed;
    let (unpaid, refused) = (typed.unpaid.take(), typed.refused.take());
    let defaults = Settings::default();
    let mut of_clients = |typed: Option<FileSwitch>, default| match typed {
        None => default,
        Some(typed) => self::of_clients(typed, reader),
    };
    let unpaid = of_clients(unpaid, defaults.unpaid);
    let refused = of_clients(refused, defaults.refused);
    let store = store(typed, reader);
    let mut settings = Settings { unpaid, refused, store, ..Settings::default() };
    for (name, Section { typed: FileLimit { rate, by }, .. }) in classes {
        let (rate, by): (Option<Rate>, Option<By>) = (reader.take(rate), reader.take(by));
        if let Some((rate, by)) = rate.zip(by) {
            settings.classes.insert(name, ClassSettings { rate, by });
        }
    }
    settings
}

/// A limit of what clients do before anybody knows who pays.
pub(super) fn of_clients(typed: FileSwitch, reader: &mut Reader<'_>) -> Option<Rate> {
    match typed {
        FileSwitch::Off => None,
        FileSwitch::On(FileLimit { rate, by }) => {
            only_ip(by, reader);
            reader.take(rate)
        }
    }
}

/// How much is free on each route, by its name.
pub(super) fn free(routes: &[Arc<Route>]) -> BTreeMap<Box<str>, Rate> {
    routes.iter().filter_map(|route| Some((route.name.clone(), route.free?))).collect()
}

/// Where limits are shared, if they are.
fn store(typed: FileLimits, reader: &mut Reader<'_>) -> Option<Store> {
    let FileLimits { store, timeout, replicas, .. } = typed;
    let Some(store) = store else {
        let unused = [
            ("timeout", timeout.map(|typed| typed.span)),
            ("replicas", replicas.map(|typed| typed.span())),
        ];
        for (key, span) in unused {
            if let Some(span) = span {
                reader.wrong(span, Mistake::Meaningless { key, beside: "without `store`" });
            }
        }
        return None;
    };
    let span = store.span();
    let (text, source) = reader.secret_text(store)?;
    let url: StoreUrl = match text.parse() {
        Ok(url) => url,
        Err(error) => {
            reader.wrong(span, Mistake::Store(error));
            return None;
        }
    };
    if url.has_password() && matches!(source, SecretSource::Literal) {
        reader.wrong(span, Mistake::StorePassword);
    }
    let timeout = reader.take_if(timeout).map_or(TIMEOUT, |Timeout(timeout)| timeout);
    let replicas = replicas.map_or(NonZeroU32::MIN, Spanned::into_inner);
    Some(Store { url, timeout, replicas })
}

/// Before a payment is verified nobody knows the payer.
fn only_ip(by: Text<By>, reader: &mut Reader<'_>) {
    let span = by.span.clone();
    if reader.take(by) == Some(By::Payer) {
        let kind = "known before a payment has been verified";
        reader.wrong(span, Mistake::not(kind, "payer", "\"ip\""));
    }
}

/// More than an answer takes in one building, and less than anybody notices.
const TIMEOUT: Duration = Duration::from_millis(50);
