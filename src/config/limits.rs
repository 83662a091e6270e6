//! `[limits]`: how much is let through, and for whom.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::time::Duration;

use toml::Spanned;

use crate::limit::{By, ClassSettings, Rate, Settings, Store, StoreUrl};
use crate::route::upstream::SecretSource;

use super::file::{FileLimit, FileLimits, FileSecret, FileSwitch};
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
    let FileLimits { unpaid, refused, store, timeout, replicas, .. } = typed;
    let defaults = Settings::default();
    let mut of_clients = |typed: Option<FileSwitch>, default| match typed {
        None => default,
        Some(FileSwitch::Off) => None,
        Some(FileSwitch::On(FileLimit { rate, by })) => {
            only_ip(by, reader);
            reader.take(rate)
        }
    };
    let unpaid = of_clients(unpaid, defaults.unpaid);
    let refused = of_clients(refused, defaults.refused);
    let store = self::store((store, timeout, replicas), reader);
    let mut settings = Settings { unpaid, refused, classes: BTreeMap::new(), store };
    for (name, Section { typed: FileLimit { rate, by }, .. }) in classes {
        let (rate, by): (Option<Rate>, Option<By>) = (reader.take(rate), reader.take(by));
        if let Some((rate, by)) = rate.zip(by) {
            settings.classes.insert(name, ClassSettings { rate, by });
        }
    }
    settings
}

/// Where limits are shared, if they are.
fn store(
    (store, timeout, replicas): (
        Option<Spanned<FileSecret>>,
        Option<Text<Timeout>>,
        Option<Spanned<NonZeroU32>>,
    ),
    reader: &mut Reader<'_>,
) -> Option<Store> {
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
