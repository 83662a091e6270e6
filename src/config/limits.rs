//! `[limits]`: how much is let through, and for whom.

use std::collections::BTreeMap;

use crate::limit::{By, ClassSettings, Rate, Settings};

use super::file::{FileLimit, FileSwitch};
use super::mistake::Mistake;
use super::reader::{Reader, Section};
use super::text::Text;

/// Reads the two limits of client addresses and those of the classes.
pub(super) fn limits(
    (unpaid, refused): (Option<FileSwitch>, Option<FileSwitch>),
    classes: BTreeMap<Box<str>, Section<FileLimit>>,
    reader: &mut Reader<'_>,
) -> Settings {
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
    let mut settings = Settings { unpaid, refused, classes: BTreeMap::new() };
    for (name, Section { typed: FileLimit { rate, by }, .. }) in classes {
        let (rate, by): (Option<Rate>, Option<By>) = (reader.take(rate), reader.take(by));
        if let Some((rate, by)) = rate.zip(by) {
            settings.classes.insert(name, ClassSettings { rate, by });
        }
    }
    settings
}

/// Before a payment is verified nobody knows the payer.
fn only_ip(by: Text<By>, reader: &mut Reader<'_>) {
    let span = by.span.clone();
    if reader.take(by) == Some(By::Payer) {
        let kind = "known before a payment has been verified";
        reader.wrong(span, Mistake::not(kind, "payer", "\"ip\""));
    }
}
