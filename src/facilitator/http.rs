//! A facilitator that is spoken to over HTTP, and not believed without looking.

mod answer;
mod ask;
pub mod auth;
pub mod cdp;
mod listing;
mod words;

use std::fmt;
use std::time::Duration;

use ::http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use bytes::Bytes;
use reqwest::Url;
use serde::Serialize;

use self::ask::{Endpoint, Shared, Unanswered};
pub use self::auth::Auth;
use self::listing::Listing;
pub use self::listing::{REFRESHES_FAILED_MAX, Wanted};
use super::{Order, Outcome, Verdict};
use crate::clock::Clock;
use crate::fault::{Fault, Retry, Side};
use crate::x402::payload::OutgoingPayload;
use crate::x402::{
    Account, Offer, PaymentRequirements, PaymentRequirementsV1, SupportedKind, Version,
};

/// Where a facilitator is, and how long it may take.
#[derive(Clone)]
pub struct Settings {
    /// Its base URL; `/verify`, `/settle` and `/supported` are put behind it.
    pub url: String,
    /// From an open connection to the end of the answer.
    pub verify_timeout: Duration,
    /// The same for a settlement.
    pub settle_timeout: Duration,
    /// Sent with every request. The values are secret and never printed.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// Verifications that run at once, and settlements that do.
    pub in_flight_max: usize,
    /// What it must be able to settle; [`Http::ready`] looks for these.
    pub wanted: Vec<Wanted>,
    /// How it knows who asks.
    pub auth: Auth,
    /// For tokens that are good for a while only.
    pub clock: Clock,
}

impl Settings {
    /// Whether they are of one facilitator that is told the same.
    pub fn are(&self, other: &Self) -> bool {
        let Self {
            url,
            verify_timeout,
            settle_timeout,
            headers,
            in_flight_max,
            wanted,
            auth,
            clock: _,
        } = self;
        (url, verify_timeout, settle_timeout, headers)
            == (&other.url, &other.verify_timeout, &other.settle_timeout, &other.headers)
            && (in_flight_max, wanted, auth) == (&other.in_flight_max, &other.wanted, &other.auth)
    }
}

/// Why a facilitator cannot be spoken to with these settings.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// Not an absolute `http://` or `https://` URL.
    #[error("`{0}` is not an http:// or https:// URL")]
    Url(String),
    /// A base URL has no place for these.
    #[error(
        "a facilitator's URL has no query, no fragment and no user name; put keys in `headers`"
    )]
    UrlParts,
    /// `rustls::crypto::CryptoProvider::install_default` has not been called.
    #[error("the process has no TLS provider")]
    NoTlsProvider,
    /// The system's certificates or resolver cannot be used.
    #[error("the HTTP client cannot be built: {0}")]
    Client(#[source] reqwest::Error),
}

/// A facilitator over HTTP. Source: x402 v2 §7.
pub struct Http {
    verify: Endpoint,
    settle: Endpoint,
    supported: Endpoint,
    listing: Listing,
}

impl Settings {
    /// A facilitator at `url`, with the default bounds and no headers.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            verify_timeout: VERIFY_TIMEOUT_DEFAULT,
            settle_timeout: SETTLE_TIMEOUT_DEFAULT,
            headers: Vec::new(),
            in_flight_max: IN_FLIGHT_MAX_DEFAULT,
            wanted: Vec::new(),
            auth: Auth::None,
            clock: Clock::System,
        }
    }
}

impl Http {
    /// Prepares the client; nothing is sent.
    ///
    /// # Errors
    /// See [`SettingsError`].
    pub fn new(settings: Settings) -> Result<Self, SettingsError> {
        let base = base_url(&settings.url)?;
        if rustls::crypto::CryptoProvider::get_default().is_none() {
            return Err(SettingsError::NoTlsProvider);
        }
        let shortest = settings.verify_timeout.min(settings.settle_timeout);
        let client = ask::client(headers(settings.headers), shortest)?;
        let shared = Shared {
            client,
            auth: settings.auth,
            clock: settings.clock,
            in_flight_max: settings.in_flight_max,
        };
        let endpoint = |method: Method, path: &str, timeout: Duration| {
            let text = format!("{base}{path}");
            let url = Url::parse(&text).map_err(|_| SettingsError::Url(text))?;
            Ok(Endpoint::new(&shared, method, url, timeout))
        };
        Ok(Self {
            verify: endpoint(Method::POST, "/verify", settings.verify_timeout)?,
            settle: endpoint(Method::POST, "/settle", settings.settle_timeout)?,
            supported: endpoint(Method::GET, "/supported", settings.verify_timeout)?,
            listing: Listing::new(settings.wanted),
        })
    }

    /// Asks whether a payment could be settled now.
    ///
    /// # Errors
    /// No answer in time, or one that cannot be believed.
    ///
    /// # Cancel safety
    /// May be dropped at any time.
    pub async fn verify(&self, order: &Order) -> Result<Verdict, Fault> {
        let body = self.question(order, &order.offer.requirements)?;
        let parent = order.parents.as_ref().map(|parents| &parents.verify);
        let answer = self.verify.ask(Some(body), parent).await.map_err(Unanswered::into_fault)?;
        answer::verdict(&answer, order).map_err(|fault| fault.pausing(answer.pause))
    }

    /// Asks to move the money, once.
    ///
    /// # Cancel safety
    /// Dropping it undoes nothing; what became of the payment is then unknown.
    pub async fn settle(&self, order: &Order) -> Outcome {
        let whole = &order.offer.requirements;
        // What is moved may be less than what was verified.
        let due = order.actual.map(|amount| PaymentRequirements { amount, ..whole.clone() });
        let body = match self.question(order, due.as_ref().unwrap_or(whole)) {
            Ok(body) => body,
            Err(fault) => return Outcome::NotSent(fault),
        };
        let parent = order.parents.as_ref().map(|parents| &parents.settle);
        match self.settle.ask(Some(body), parent).await {
            Ok(answer) => match answer::outcome(&answer, order) {
                Outcome::NotSent(fault) => Outcome::NotSent(fault.pausing(answer.pause)),
                Outcome::Unknown { transaction, said, fault } => {
                    Outcome::Unknown { transaction, said, fault: fault.pausing(answer.pause) }
                }
                told @ (Outcome::Settled { .. } | Outcome::Rejected(_)) => told,
            },
            Err(Unanswered::NotSent(fault)) => Outcome::NotSent(fault),
            Err(Unanswered::Perhaps(fault)) => Outcome::unknown(fault),
        }
    }

    /// Asks what the facilitator can settle, and keeps the answer. To be called now and then.
    ///
    /// # Errors
    /// No answer in time, or none that is a list of kinds; the last list stays.
    ///
    /// # Cancel safety
    /// May be dropped at any time.
    pub async fn refresh(&self) -> Result<(), Fault> {
        let asked = self.supported.ask(None, None).await.map_err(Unanswered::into_fault);
        self.listing.keep(asked.and_then(|answer| answer::supported(&answer)))
    }

    /// Whether the facilitator has listed this offer in the words of this version.
    pub fn supports(&self, offer: &Offer, version: Version) -> bool {
        self.listing.supports(offer, version)
    }

    /// Whether nothing it has said speaks against settling this offer.
    pub fn settles(&self, offer: &Offer) -> bool {
        self.listing.settles(offer)
    }

    /// Who pays the fee of a payment for an offer that has to say so, as it has said.
    pub fn fee_payer(&self, offer: &Offer) -> Option<Account> {
        let network = offer.requirements.network.as_str();
        match offer.is_upto() {
            true => self.listing.facilitator(network),
            false => self.listing.fee_payer(network).map(Account::from),
        }
    }

    /// What it has listed last, as it said it.
    pub fn listed(&self) -> Vec<SupportedKind> {
        self.listing.kinds()
    }

    /// Whether `/supported` was answered lately and lists all that this gateway wants settled, in
    /// the words of either version. Asks nobody.
    ///
    /// # Errors
    /// It was never answered, or refreshes have failed [`REFRESHES_FAILED_MAX`] times in a row, or
    /// a network is not listed.
    pub fn ready(&self) -> Result<(), Fault> {
        self.listing.ready()
    }

    /// The body of a request. The version is the client's, or the only one the facilitator lists:
    /// what was signed is the same in both.
    fn question(&self, order: &Order, due: &PaymentRequirements) -> Result<Bytes, Fault> {
        let (offer, payment) = (&order.offer, &order.payment);
        let other = match order.version {
            Version::V1 => Version::V2,
            Version::V2 => Version::V1,
        };
        let only_other = self.supports(offer, other) && !self.supports(offer, order.version);
        let version = if only_other { other } else { order.version };
        let body = match (version, &offer.v1) {
            (Version::V1, Some(v1)) => serde_json::to_vec(&Question {
                x402_version: Version::V1,
                payment_payload: OutgoingPayload::v1(v1, payment),
                payment_requirements: Requirements::V1(v1),
            }),
            (Version::V1, None) | (Version::V2, _) => serde_json::to_vec(&Question {
                x402_version: Version::V2,
                payment_payload: OutgoingPayload::v2(&offer.requirements, payment)
                    .catalogued(order.catalogued.as_deref()),
                payment_requirements: Requirements::V2(due),
            }),
        };
        body.map(Bytes::from).map_err(|error| {
            Fault::new(Side::Ours, Retry::Never, "a payment is not JSON").caused_by(error)
        })
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&HeaderName> = self.headers.iter().map(|(name, _)| name).collect();
        f.debug_struct("Settings")
            .field("url", &self.url)
            .field("verify_timeout", &self.verify_timeout)
            .field("settle_timeout", &self.settle_timeout)
            .field("headers", &names)
            .field("in_flight_max", &self.in_flight_max)
            .field("wanted", &self.wanted)
            .field("auth", &self.auth)
            .finish()
    }
}

impl fmt::Debug for Http {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Http").field("verify", self.verify.url()).finish_non_exhaustive()
    }
}

/// The body of `POST /verify` and `POST /settle`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Question<'a> {
    x402_version: Version,
    payment_payload: OutgoingPayload<'a>,
    payment_requirements: Requirements<'a>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Requirements<'a> {
    V1(&'a PaymentRequirementsV1),
    V2(&'a PaymentRequirements),
}

/// The base URL without a slash at its end.
fn base_url(text: &str) -> Result<String, SettingsError> {
    let wrong = || SettingsError::Url(text.to_owned());
    let url = Url::parse(text).map_err(|_| wrong())?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err(wrong());
    }
    let user = !url.username().is_empty() || url.password().is_some();
    if user || url.query().is_some() || url.fragment().is_some() {
        return Err(SettingsError::UrlParts);
    }
    Ok(url.as_str().trim_end_matches('/').to_owned())
}

fn headers(secret: Vec<(HeaderName, HeaderValue)>) -> HeaderMap {
    let json = HeaderValue::from_static("application/json");
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, json.clone());
    headers.insert(header::ACCEPT, json);
    for (name, mut value) in secret {
        value.set_sensitive(true);
        headers.append(name, value);
    }
    headers
}

/// A verification reads the chain once or twice; a client waits for it before anything happens.
pub const VERIFY_TIMEOUT_DEFAULT: Duration = Duration::from_secs(5);

/// A facilitator waits for the chain to include the transfer: seconds as a rule, up to half a
/// minute in the field when a node is slow. To give up early turns a slow payment into an
/// unknown one, which is dearer than waiting; after a minute the client has given up itself.
pub const SETTLE_TIMEOUT_DEFAULT: Duration = Duration::from_secs(60);

/// As many settlements as take 60 s each at 17 a second, or 350 ms each at 2,900 a second.
pub const IN_FLIGHT_MAX_DEFAULT: usize = 1_024;

#[cfg(test)]
mod fake;
#[cfg(test)]
mod tests;
