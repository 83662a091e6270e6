//! What an agent that has never heard of this API finds: the API's document, its priced URLs, and
//! how to pay, all made from the routes.

pub mod bazaar;
mod listing;
mod openapi;
pub mod paywall;
mod price;

use std::sync::{Arc, OnceLock};

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

/// The documents of one snapshot: a reload has others. A clone is another handle to the same.
#[derive(Clone, Debug, Default)]
pub struct Discovery(Arc<Sources>);

/// What the documents are made from, and the documents.
#[derive(Debug, Default)]
struct Sources {
    pages: OnceLock<Vec<Page>>,
    about: About,
    /// The server's public URL; nothing where it has none.
    origin: Box<str>,
    routes: Vec<Arc<Route>>,
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
    /// The documents of these routes, not made yet. `origin` is the server's public URL.
    pub fn new(about: &About, origin: Option<&str>, routes: &[Arc<Route>]) -> Self {
        let (about, origin) = (about.clone(), origin.unwrap_or_default().into());
        let (pages, routes) = (OnceLock::new(), routes.into());
        Self(Arc::new(Sources { pages, about, origin, routes }))
    }

    /// Whether browsers get a page.
    pub fn paywall(&self) -> Paywall {
        self.0.about.paywall
    }

    /// Makes them, if nobody has. Some 40 µs for each route, on this thread; whoever wants one
    /// meanwhile waits for it.
    pub fn make(&self) -> &[Page] {
        match self.0.about.serve {
            Serve::Off => &[],
            Serve::UnlessRouted | Serve::Always => self.0.pages.get_or_init(|| self.0.pages()),
        }
    }

    /// The page of a path that is served whatever the routes are.
    pub fn always(&self, path: &str) -> Option<&Page> {
        if self.0.about.serve == Serve::Always { self.page(path) } else { None }
    }

    /// The page of a path that no route has.
    pub fn page(&self, path: &str) -> Option<&Page> {
        let is_one = [OPENAPI, WELL_KNOWN, LLMS].contains(&path);
        let pages = if is_one { self.make() } else { &[] };
        pages.iter().find(|page| page.path == path)
    }
}

impl Sources {
    fn pages(&self) -> Vec<Page> {
        let about = &self.about;
        let routes = self.routes.iter().map(|route| &**route);
        let routes: Vec<&Route> = routes.filter(|route| route.listing == Listing::Listed).collect();
        let origin = self.origin.trim_end_matches('/');
        let host = origin.split_once("://").map_or(origin, |(_, host)| host);
        let title = about.title.as_deref().unwrap_or(if host.is_empty() { "API" } else { host });
        let told = Told { title, about, origin, routes: &routes };
        vec![
            Page::new(OPENAPI, "application/json", openapi::document(told).to_string()),
            Page::new(WELL_KNOWN, "application/json", listing::resources(told).to_string()),
            Page::new(LLMS, "text/markdown; charset=utf-8", listing::for_agents(told)),
        ]
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
