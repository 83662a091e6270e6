//! `[discovery]`: what agents find, and where it is served.

use crate::discovery::{About, Paywall, Serve};
use crate::route::Listing;

use super::file::FileDiscovery;
use super::mistake::Mistake;
use super::reader::Reader;
use super::server::Switch;
use super::text::{Text, Written};

/// Reads `[discovery]`.
pub(super) fn discovery(typed: FileDiscovery, reader: &mut Reader<'_>) -> About {
    let FileDiscovery { serve, paywall, title, description } = typed;
    let serve = reader.take_if(serve).unwrap_or_default();
    let paywall = match reader.take_if(paywall) {
        Some(Switch::Off) => Paywall::Off,
        Some(Switch::On) | None => Paywall::Page,
    };
    About { serve, paywall, title, description }
}

/// Whether a route is named there.
pub(super) fn listing(typed: Option<Text<Switch>>, reader: &mut Reader<'_>) -> Listing {
    match reader.take_if(typed) {
        Some(Switch::Off) => Listing::Unlisted,
        Some(Switch::On) | None => Listing::Listed,
    }
}

impl Written for Serve {
    const EXPECTED: &'static str = "\"unless-routed\", \"always\" or \"off\"";

    fn read(text: &str) -> Result<Self, Mistake> {
        match text {
            "unless-routed" => Ok(Self::UnlessRouted),
            "always" => Ok(Self::Always),
            "off" => Ok(Self::Off),
            _ => Err(Mistake::not("a way to serve the documents", text, Self::EXPECTED)),
        }
    }
}
