//! What an agent that has never heard of this API finds: the API's document, its priced URLs, and
//! how to pay, all made from the routes.

pub mod bazaar;
mod listing;
mod openapi;
pub mod paywall;
mod price;

use alloy_primitives::keccak256;
use bytes::Bytes;

use crate::route::{Listing, Route};

/// What the documents say of the API as a whole, and whether they are served.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct About {
    /// Whether they are.
    pub serve: Serve,
    /// Whether browsers are answered 402 with a page.
    pub paywall: Paywall,
    /// What the API is called; nothing: its host's name.
    pub title: Option<Box<str>>,
    /// What it is, in a few sentences.
    pub description: Box<str>,
}

/// When the documents are served.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Serve {
    /// Where no route has their path: what is behind the gateway does not change.
    #[default]
    UnlessRouted,
    /// Even where a route has their path.
    Always,
    /// Never.
    Off,
}

/// Whether a browser that opens a paid URL gets a page.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Paywall {
    /// It does, and can pay there.
    #[default]
    Page,
    /// It gets what every other client gets.
    Off,
}

/// The documents, ready to send. A snapshot: a reload makes new ones.
#[derive(Clone, Debug, Default)]
pub struct Discovery {
    serve: Serve,
    pages: Vec<Page>,
    /// Whether browsers get a page.
    pub paywall: Paywall,
}

/// One of them.
#[derive(Clone, Debug)]
pub struct Page {
    /// Where it is.
    pub path: &'static str,
    /// What it is.
    pub media_type: &'static str,
    /// The whole of it.
    pub body: Bytes,
    /// Its digest, quoted as `ETag` has it.
    pub etag: Box<str>,
}

/// What a page is made from.
#[derive(Clone, Copy)]
struct Told<'a> {
    title: &'a str,
    about: &'a About,
    /// The public URL, without a final `/`; nothing where no route is priced and nobody has said.
    origin: &'a str,
    routes: &'a [&'a Route],
}

impl Discovery {
    /// The documents of these routes. `origin` is the server's public URL.
    pub fn new<'a>(
        about: &About,
        origin: Option<&str>,
        routes: impl IntoIterator<Item = &'a Route>,
    ) -> Self {
        if about.serve == Serve::Off {
            return Self { serve: Serve::Off, pages: Vec::new(), paywall: about.paywall };
        }
        let routes: Vec<&Route> =
            routes.into_iter().filter(|route| route.listing == Listing::Listed).collect();
        let origin = origin.unwrap_or_default().trim_end_matches('/');
        let host = origin.split_once("://").map_or(origin, |(_, host)| host);
        let title = about.title.as_deref().unwrap_or(if host.is_empty() { "API" } else { host });
        let told = Told { title, about, origin, routes: &routes };
        let pages = vec![
            Page::new(OPENAPI, "application/json", openapi::document(told).to_string()),
            Page::new(WELL_KNOWN, "application/json", listing::resources(told).to_string()),
            Page::new(LLMS, "text/markdown; charset=utf-8", listing::for_agents(told)),
        ];
        Self { serve: about.serve, pages, paywall: about.paywall }
    }

    /// The page of a path that is served whatever the routes are.
    pub fn always(&self, path: &str) -> Option<&Page> {
        if self.serve == Serve::Always { self.page(path) } else { None }
    }

    /// The page of a path that no route has.
    pub fn page(&self, path: &str) -> Option<&Page> {
        self.pages.iter().find(|page| page.path == path)
    }

    /// All of them.
    pub fn pages(&self) -> &[Page] {
        &self.pages
    }
}

impl Page {
    fn new(path: &'static str, media_type: &'static str, body: String) -> Self {
        let etag = format!("\"{:x}\"", keccak256(&body)).into();
        Self { path, media_type, body: body.into(), etag }
    }
}

/// How a client pays, for whoever reads the documents.
const HOW_TO_PAY: &str = "Each call is paid for by itself, in a stablecoin, with x402. Call an \
operation without payment: the answer is 402, its header PAYMENT-REQUIRED (base64 of JSON) lists \
the ways to pay. Sign one of them with a wallet and send the same request again with the signed \
payment in the header PAYMENT-SIGNATURE. The answer brings a receipt in PAYMENT-RESPONSE. A \
payment that was refused is not taken. A request that was cut off is sent again with the same \
payment: it is never taken twice.";

/// The API's document.
pub const OPENAPI: &str = "/openapi.json";
/// The URLs that are priced.
pub const WELL_KNOWN: &str = "/.well-known/x402";
/// What an agent reads first.
pub const LLMS: &str = "/llms.txt";

#[cfg(test)]
mod tests;
