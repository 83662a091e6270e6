//! The only place that writes answers of our own: refusals, the 402, documents, CORS preflights.

mod carried;
mod described;
mod drain;

use bytes::Bytes;
use http::response::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use pingora::http::ResponseHeader;
use pingora::proxy::Session;
use serde::Serialize;

pub(super) use self::carried::{CARRIED, carried, give, unpacked};
use self::described::describe;
use self::drain::{Drained, drain_after, drain_before};
use super::inspect::{self, Reader};
use crate::clock::{UnixMillis, date};
use crate::discovery::{Page, paywall};
use crate::ledger::ExchangeId;
use crate::payment::{Given, Receipt, sign_in};
use crate::refusal::{Consumed, Refusal, Retriable, Shape, Told};
use crate::route::{CanonicalPath, Challenge, Instructions, Terms};
use crate::x402::sign_in::offer::Asking;

/// The body of every refusal. A 402's begins with it and goes on with version 1's terms.
#[derive(Serialize)]
struct Body<'a> {
    /// Absent where version 1's terms follow, which have their own.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a str>,
    message: String,
    retriable: bool,
    /// The same in the spelling of the published background-removal API.
    retryable: bool,
    /// Absent while it is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    consumed: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    transaction: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none", rename = "paymentInstructions")]
    instructions: Option<&'a Instructions>,
}

/// What is known of a request that is refused.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked<'a> {
    /// What it costs, where it costs anything.
    pub(super) terms: Option<&'a Terms>,
    /// In whose words it is answered.
    pub(super) shape: Shape,
    /// Who reads the answer.
    pub(super) reader: Reader,
    /// In which exchange.
    pub(super) exchange: ExchangeId,
    /// When that began.
    pub(super) began: UnixMillis,
}

impl Asked<'_> {
    /// What a 402 has for itself, for whoever signs in. Without random numbers it is the exchange's
    /// own, which is no other's either.
    fn asking(&self) -> Asking {
        let nonce = ExchangeId::random().unwrap_or(self.exchange).number();
        let expires = self.began.plus(sign_in::LIFETIME);
        Asking { nonce, issued_at: date::stamp(self.began), expires_at: date::stamp(expires) }
    }
}

/// Answers with a refusal, and reads what the client still sends, within bounds, so that it gets
/// to see the answer.
///
/// # Errors
/// The client is gone.
pub(super) async fn refuse(
    session: &mut Session,
    refusal: &Refusal,
    asked: Asked<'_>,
) -> pingora::Result<()> {
    let (head, body) = refused(session, refusal, asked);
    let drained = drain_before(session).await;
    send(session, head, body).await?;
    if drained == Drained::NotYet {
        drain_after(session).await;
    }
    Ok(())
}

/// The answer to a request that is refused.
pub(super) fn refused(
    session: &Session,
    refusal: &Refusal,
    asked: Asked<'_>,
) -> (ResponseHeader, Bytes) {
    let (head, body) = match ready(refusal, asked) {
        Some(ready) => ready,
        None => composed(refusal, asked, inspect::target(session.req_header()).0).into_parts(),
    };
    (ResponseHeader::from(head), body)
}

/// The one refusal that is the same for everyone: nothing was paid on a route with one URL.
fn ready(refusal: &Refusal, asked: Asked<'_>) -> Option<(Parts, Bytes)> {
    let (Refusal::PaymentMissing, Some(terms)) = (refusal, asked.terms) else { return None };
    let path = terms.fixed_path()?;
    let ready = match asked.reader {
        Reader::Program => &terms.ready,
        Reader::Browser => &terms.ready_page,
    };
    let answer = ready.get_or_init(|| Box::new(composed(refusal, asked, path)));
    let (mut head, body) = (**answer).clone().into_parts();
    if terms.challenge.fresh.is_some() {
        let header = terms.challenge.header_for(|| asked.asking());
        head.headers.insert(PAYMENT_REQUIRED, bytes_value(header));
    }
    Some((head, body))
}

/// The whole answer to a request at `path`.
fn composed(refusal: &Refusal, asked: Asked<'_>, path: &[u8]) -> http::Response<Bytes> {
    let (told, path) = (refusal.told(asked.shape), CanonicalPath::new(path).ok());
    let refused = Refused { refusal, told, terms: asked.terms, path };
    let challenge = challenge(&refused);
    let page = page_of(&refused, challenge.as_ref(), asked.reader);
    let kind = page.as_ref().map_or("application/json", |_| "text/html; charset=utf-8");
    let body = page.clone().unwrap_or_else(|| body(&refused, challenge.as_ref()));
    let mut answer = http::Response::new(body);
    *answer.status_mut() =
        StatusCode::from_u16(told.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let length = HeaderValue::from(answer.body().len());
    let head = answer.headers_mut();
    head.insert(header::CONTENT_LENGTH, length);
    head.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    head.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    head.extend(FOR_BROWSERS.iter().cloned());
    if page.is_some() {
        guard(head);
    }
    if let Some(challenge) = challenge {
        head.insert(PAYMENT_REQUIRED, bytes_value(challenge.header_for(|| asked.asking())));
    }
    describe(head, &refused);
    answer
}

/// The page for a browser that opened a paid URL.
fn page_of(refused: &Refused<'_>, challenge: Option<&Challenge>, reader: Reader) -> Option<Bytes> {
    let (Reader::Browser, Refusal::PaymentMissing) = (reader, refused.refusal) else { return None };
    paywall::page(refused.terms?, &challenge?.header).ok()
}

/// Lets a page do what it is for, and nothing else.
fn guard(head: &mut HeaderMap) {
    if let Ok(policy) = HeaderValue::from_str(&paywall::POLICY) {
        head.insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    head.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    head.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    head.insert(header::VARY, HeaderValue::from_static("Accept"));
}

/// The refusal and what is known of the request it answers.
struct Refused<'a> {
    refusal: &'a Refusal,
    told: Told,
    terms: Option<&'a Terms>,
    path: Option<CanonicalPath<'a>>,
}

/// Answers with what a payment has bought before, and its receipt.
///
/// # Errors
/// The client is gone.
pub(super) async fn again(session: &mut Session, given: &Given) -> pingora::Result<()> {
    let answer = &given.answer;
    let mut head = ResponseHeader::build(answer.status, Some(answer.headers.len() + 8))?;
    for (name, value) in &answer.headers {
        head.append_header(name.to_string(), &**value)?;
    }
    let no_body = session.req_header().method == http::Method::HEAD || answer.status == 204;
    if !no_body {
        head.insert_header(header::CONTENT_LENGTH, answer.body.len())?;
    }
    for receipt in &given.receipts {
        head.insert_header(receipt.name, receipt.value.as_str())?;
    }
    head.insert_header(AGAIN_HEADER, "true")?;
    head.insert_header(header::CACHE_CONTROL, "no-store")?;
    allow_browsers(&mut head)?;
    session.write_response_header(Box::new(head), no_body).await?;
    if no_body {
        return Ok(());
    }
    session.write_response_body(Some(answer.body.clone()), true).await
}

/// Asks a client that waits for it to send its body.
///
/// # Errors
/// The client is gone.
pub(super) async fn invite(session: &mut Session) -> pingora::Result<()> {
    let expects = session.req_header().headers.get(header::EXPECT);
    if expects.is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"100-continue")) {
        session.downstream_session.write_continue_response().await?;
    }
    Ok(())
}

/// Tells a proxy that it may forward, what to tell whom it forwards to, and the receipts for its
/// client.
///
/// # Errors
/// The proxy is gone.
pub(super) async fn pass(
    session: &mut Session,
    told: impl Iterator<Item = (&'static str, String)>,
    receipts: Vec<Receipt>,
) -> pingora::Result<()> {
    let mut head = ResponseHeader::build(200, Some(8))?;
    for (name, value) in told {
        head.insert_header(name, value)?;
    }
    for receipt in receipts {
        head.insert_header(receipt.name, receipt.value)?;
    }
    head.insert_header(header::CONTENT_LENGTH, 0)?;
    head.insert_header(header::CACHE_CONTROL, "no-store")?;
    let _ = drain_before(session).await;
    session.write_response_header(Box::new(head), true).await
}

/// Begins an answer whose body follows piece by piece.
///
/// # Errors
/// The client is gone.
pub(super) async fn begin(session: &mut Session, head: ResponseHeader) -> pingora::Result<()> {
    session.write_response_header(Box::new(head), false).await
}

/// Passes a whole answer on.
///
/// # Errors
/// The client is gone.
pub(super) async fn whole(
    session: &mut Session,
    head: ResponseHeader,
    body: Bytes,
) -> pingora::Result<()> {
    if matches!(head.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED) {
        return session.write_response_header(Box::new(head), true).await;
    }
    send(session, head, body).await
}

/// Answers whoever is not refused and not forwarded either.
///
/// # Errors
/// The client is gone.
pub(super) async fn give_ours(
    session: &mut Session,
    (head, body): (ResponseHeader, Bytes),
) -> pingora::Result<()> {
    let _ = drain_before(session).await;
    whole(session, head, body).await
}

/// The answer to a CORS preflight: no payment, and the payment headers allowed.
///
/// # Errors
/// None with these values; pingora's own.
pub(super) fn preflight(
    headers: &HeaderMap,
    allow: &str,
) -> pingora::Result<(ResponseHeader, Bytes)> {
    let asked = headers.get(header::ACCESS_CONTROL_REQUEST_HEADERS).cloned();
    let mut head = ResponseHeader::build(204, Some(8))?;
    head.insert_header(header::ALLOW, allow)?;
    head.insert_header(header::ACCESS_CONTROL_ALLOW_ORIGIN, "*")?;
    head.insert_header(header::ACCESS_CONTROL_ALLOW_METHODS, allow)?;
    let headers = asked
        .filter(|value| value.len() <= ALLOW_HEADERS_BYTES_MAX)
        .unwrap_or(HeaderValue::from_static(ALLOWED_HEADERS));
    head.insert_header(header::ACCESS_CONTROL_ALLOW_HEADERS, headers)?;
    head.insert_header(header::ACCESS_CONTROL_MAX_AGE, "600")?;
    head.insert_header(header::VARY, "Access-Control-Request-Headers")?;
    Ok((head, Bytes::new()))
}

/// A document for agents, or that the client has it.
///
/// # Errors
/// None with these values; pingora's own.
pub(super) fn page(headers: &HeaderMap, page: &Page) -> pingora::Result<(ResponseHeader, Bytes)> {
    let known = headers.get_all(header::IF_NONE_MATCH).iter();
    let known = known.filter_map(|value| value.to_str().ok()).flat_map(|list| list.split(','));
    let tag = |text: &str| *text.trim().trim_start_matches("W/") == *page.etag;
    let unchanged = known.into_iter().any(tag);
    let mut head = ResponseHeader::build(if unchanged { 304 } else { 200 }, Some(8))?;
    head.insert_header(header::ETAG, &*page.etag)?;
    head.insert_header(header::CACHE_CONTROL, "public, max-age=60")?;
    head.insert_header(header::CONTENT_TYPE, page.media_type)?;
    allow_browsers(&mut head)?;
    if unchanged {
        return Ok((head, Bytes::new()));
    }
    head.insert_header(header::CONTENT_LENGTH, page.body.len())?;
    Ok((head, page.body.clone()))
}

/// Lets scripts of any origin read an answer and its payment headers.
///
/// # Errors
/// None with these values; pingora's own.
pub(super) fn allow_browsers(head: &mut ResponseHeader) -> pingora::Result<()> {
    let insert = |(name, value): &'static (HeaderName, HeaderValue)| {
        head.insert_header(name.as_str(), value.clone())
    };
    FOR_BROWSERS.iter().try_for_each(insert)
}

/// A header value from bytes that we encoded ourselves.
fn bytes_value(bytes: Bytes) -> HeaderValue {
    HeaderValue::from_maybe_shared(bytes).unwrap_or(HeaderValue::from_static(""))
}

/// The terms, for a refusal that is told with them.
fn challenge(refused: &Refused<'_>) -> Option<Challenge> {
    if !refused.told.shows_terms() {
        return None;
    }
    let (terms, path) = (refused.terms?, refused.path.as_ref()?);
    Some(match refused.refusal {
        Refusal::PaymentMissing => terms.challenge_at(path),
        _ => terms.challenge_for(&terms.url_of(path), refused.told.code),
    })
}

fn body(refused: &Refused<'_>, challenge: Option<&Challenge>) -> Bytes {
    let row = refused.refusal.row();
    let retriable = row.retriable == Retriable::Yes;
    let body = Body {
        error: challenge.is_none().then_some(refused.told.code),
        message: refused.refusal.message(),
        retriable,
        retryable: retriable,
        consumed: match row.consumed {
            Consumed::Yes => Some(true),
            Consumed::No => Some(false),
            Consumed::Unknown => None,
        },
        reason: refused.refusal.reason_code(),
        transaction: refused.refusal.transaction(),
        instructions: challenge.and(refused.terms).and_then(|terms| terms.instructions.as_ref()),
    };
    let mut json = serde_json::to_vec(&body).unwrap_or_default();
    // The terms are one more object: `{"error":…}` and `{"x402Version":1,…}` become one.
    if let Some(terms) = challenge.and_then(|challenge| challenge.body.strip_prefix(b"{")) {
        json.pop();
        json.push(b',');
        json.extend_from_slice(terms);
    }
    json.into()
}

async fn send(session: &mut Session, head: ResponseHeader, body: Bytes) -> pingora::Result<()> {
    let no_body = session.req_header().method == http::Method::HEAD;
    session.write_response_header(Box::new(head), no_body).await?;
    if no_body { Ok(()) } else { session.write_response_body(Some(body), true).await }
}

/// Whether a header is one that an upstream may not send on our behalf.
pub(super) fn strip_upstream(head: &mut ResponseHeader) {
    for name in inspect::ours_alone(&head.headers) {
        head.remove_header(&name);
    }
}

/// Says of an answer that it was given before.
const AGAIN_HEADER: &str = "Idempotent-Replayed";

const ALLOW_HEADERS_BYTES_MAX: usize = 1024;
const ALLOWED_HEADERS: &str = "Content-Type, PAYMENT-SIGNATURE, X-PAYMENT, SIGN-IN-WITH-X, \
     Access-Control-Expose-Headers";
/// Headers that let scripts of any origin read an answer and its payment headers.
static FOR_BROWSERS: [(HeaderName, HeaderValue); 2] = [
    (header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*")),
    (
        header::ACCESS_CONTROL_EXPOSE_HEADERS,
        HeaderValue::from_static(
            "PAYMENT-REQUIRED, PAYMENT-RESPONSE, X-PAYMENT-RESPONSE, \
             Retry-After, RateLimit, RateLimit-Policy",
        ),
    ),
];
const PAYMENT_REQUIRED: HeaderName = HeaderName::from_static("payment-required");
