//! A page for operators on the admin listener that shows the money: behind a token, and only to be
//! read. It asks no other host.

mod books;
mod view;

use std::borrow::Cow;
use std::sync::Arc;

use arc_swap::ArcSwap;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use tokio::runtime::Handle;
use tokio::sync::Mutex;

use self::books::Books;
pub use self::view::Money;
use self::view::Span;
use crate::clock::Clock;
use crate::digest::Digest;
use crate::fault::Fault;
use crate::ledger::Ledger;

/// The path under which everything of it lies.
pub const PATH: &str = "/dashboard";

/// What the page is made of, and who may see it.
pub struct Dashboard {
    token: Digest,
    reading: Arc<Reading>,
    /// Where the ledger is read: not on the threads of the requests.
    home: Handle,
}

struct Reading {
    /// As of the last reload.
    monies: Arc<ArcSwap<Vec<Money>>>,
    ledger: Ledger,
    clock: Clock,
    books: Mutex<Books>,
}

/// Whether requests can be served well, and what is amiss.
pub struct Health<'a> {
    /// They can, most of them.
    pub ready: bool,
    /// A line for each trouble.
    pub troubles: &'a [String],
}

impl Dashboard {
    /// A dashboard over a ledger, for whoever knows the token of this digest. It reads on the
    /// current tokio runtime.
    pub fn new(
        token: Digest,
        monies: Arc<ArcSwap<Vec<Money>>>,
        ledger: Ledger,
        clock: Clock,
    ) -> Self {
        let books = Mutex::new(Books::default());
        let reading = Arc::new(Reading { monies, ledger, clock, books });
        Self { token, reading, home: Handle::current() }
    }

    /// Answers a `GET` of a path below [`PATH`].
    pub async fn answer(
        &self,
        (path, query): (&str, &str),
        headers: &HeaderMap,
        health: &Health<'_>,
    ) -> Response<Vec<u8>> {
        if !self.lets_in(headers) {
            let mut stranger = answer(StatusCode::UNAUTHORIZED, PLAIN, "the token, please\n");
            let ask = HeaderValue::from_static("Basic realm=\"tollgate\", charset=\"UTF-8\"");
            stranger.headers_mut().insert(header::WWW_AUTHENTICATE, ask);
            return stranger;
        }
        match path.strip_prefix(PATH).unwrap_or(path) {
            "" | "/" => answer(StatusCode::OK, "text/html; charset=utf-8", PAGE),
            "/page.js" => answer(StatusCode::OK, SCRIPT_TYPE, include_str!("dashboard/page.js")),
            "/uplot.js" => answer(StatusCode::OK, SCRIPT_TYPE, include_str!("dashboard/uplot.js")),
            "/style.css" => answer(StatusCode::OK, "text/css", STYLE),
            "/data" => match self.data(Span::of_query(query), health).await {
                Ok(data) => answer(StatusCode::OK, "application/json", data),
                Err(fault) => {
                    tracing::warn!(%fault, "the dashboard has nothing to show");
                    answer(StatusCode::SERVICE_UNAVAILABLE, PLAIN, "the ledger cannot be read\n")
                }
            },
            _ => answer(StatusCode::NOT_FOUND, PLAIN, "here is only /dashboard\n"),
        }
    }

    /// Whether the token came along, as the password of anybody or as a bearer's.
    fn lets_in(&self, headers: &HeaderMap) -> bool {
        let said = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let Some((scheme, said)) = said.and_then(|said| said.split_once(' ')) else { return false };
        let token = if scheme.eq_ignore_ascii_case("bearer") {
            said.as_bytes().to_vec()
        } else if scheme.eq_ignore_ascii_case("basic") {
            let both = STANDARD.decode(said.trim()).unwrap_or_default();
            let end = both.iter().position(|byte| *byte == b':').map_or(both.len(), |at| at + 1);
            both.get(end..).unwrap_or_default().to_vec()
        } else {
            return false;
        };
        Digest::of(&token).is(&self.token)
    }

    async fn data(&self, span: Span, health: &Health<'_>) -> Result<String, Fault> {
        let reading = Arc::clone(&self.reading);
        let read = self.home.spawn(async move { reading.read(span).await });
        let mut data = read.await.map_err(view::broken)??;
        data.say(health);
        data.json()
    }
}

impl Reading {
    async fn read(&self, span: Span) -> Result<view::Data, Fault> {
        let now = self.clock.now();
        let mut books = self.books.lock().await;
        books.read(&self.ledger, now).await?;
        let waiting = self.ledger.unfinished(None, view::UNRESOLVED_MAX).await?;
        Ok(view::Data::new((&books, &self.monies.load()), waiting, span, now))
    }
}

fn answer(
    status: StatusCode,
    content_type: &'static str,
    body: impl Into<Cow<'static, str>>,
) -> Response<Vec<u8>> {
    let mut answer = Response::new(body.into().into_owned().into_bytes());
    *answer.status_mut() = status;
    let headers = [
        (header::CONTENT_TYPE, content_type),
        (header::CACHE_CONTROL, "no-store"),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
    ];
    for (name, value) in headers {
        answer.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    answer
}

const PLAIN: &str = "text/plain; charset=utf-8";
const SCRIPT_TYPE: &str = "text/javascript; charset=utf-8";
/// Own scripts, own style, own data.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
     connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
const PAGE: &str = include_str!("dashboard/page.html");
/// The chart is uPlot's, 1.6.32, whose licence stands in its files.
const STYLE: &str =
    concat!(include_str!("dashboard/uplot.css"), include_str!("dashboard/page.css"));

#[cfg(test)]
mod tests;
