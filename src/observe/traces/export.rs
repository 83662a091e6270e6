//! Spans on their way to a collector: in batches, behind everything else, and dropped where it does
//! not take them. Source: OTLP 1.9, OTLP/HTTP.

use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, HeaderValue, StatusCode};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::InstrumentationScope;
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message;
use reqwest::{Client, Response, Url};
use tokio::sync::{mpsc, watch};
use tokio::time::{sleep, sleep_until};

use super::span::text;
use super::{Settings, Spans};
use crate::clock;
use crate::fault::with_causes;
use crate::outgoing;

/// Sends the spans of exchanges that are over.
#[derive(Debug)]
pub struct Exporter {
    spans: mpsc::Receiver<Vec<Span>>,
    closes: watch::Receiver<bool>,
    collector: Collector,
}

/// Where spans go.
#[derive(Debug)]
struct Collector {
    client: Client,
    url: Url,
    resource: Resource,
    takes: Takes,
}

/// Whether the collector took what it was sent last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Takes {
    Them,
    Nothing,
}

/// Why spans cannot be sent with these settings.
#[derive(Debug, thiserror::Error)]
pub enum TracesError {
    /// Not an absolute URL of the web.
    #[error("`{0}` is not an http:// or https:// URL")]
    Url(Box<str>),
    /// `rustls::crypto::CryptoProvider::install_default` has not been called.
    #[error("the process has no TLS provider")]
    NoTlsProvider,
    /// The system's certificates or resolver cannot be used.
    #[error("the HTTP client cannot be built")]
    Client(#[source] reqwest::Error),
}

/// Why a batch was not taken.
#[derive(Debug, thiserror::Error)]
enum Untaken {
    /// Nobody answered, or not in time.
    #[error("the collector does not answer")]
    Away(#[source] reqwest::Error),
    /// It may be sent again.
    #[error("the collector answered {0}")]
    NotNow(StatusCode, Option<Duration>),
    /// It would not be taken either if it were.
    #[error("the collector answered {0}")]
    Refused(StatusCode),
}

impl Exporter {
    pub(super) fn new(
        settings: &Settings,
        spans: mpsc::Receiver<Vec<Span>>,
        closes: watch::Receiver<bool>,
    ) -> Result<Self, TracesError> {
        let url = Url::parse(&settings.url).map_err(|_| TracesError::Url(settings.url.clone()))?;
        if rustls::crypto::CryptoProvider::get_default().is_none() {
            return Err(TracesError::NoTlsProvider);
        }
        let named = settings.headers.iter();
        let mut headers: HeaderMap =
            named.map(|(name, secret)| (name.clone(), secret.value().clone())).collect();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-protobuf"));
        let client = outgoing::client()
            .default_headers(headers)
            .timeout(POST_TIMEOUT)
            .build()
            .map_err(TracesError::Client)?;
        let attributes = vec![
            text("service.name", &*settings.service),
            text("service.version", env!("CARGO_PKG_VERSION")),
        ];
        let resource = Resource { attributes, ..Resource::default() };
        let collector = Collector { client, url, resource, takes: Takes::Them };
        Ok(Self { spans, closes, collector })
    }

    /// Makes room for one more.
    #[cfg(test)]
    pub(super) fn takes_one(&mut self) -> bool {
        self.spans.try_recv().is_ok()
    }

    /// Sends batch after batch until it is closed and nothing is left.
    ///
    /// # Cancel safety
    /// The batch under way may be lost, and what waits is.
    pub async fn run(mut self, counted: Spans) {
        while let Some(batch) = self.next().await {
            self.deliver(batch, &counted).await;
        }
    }

    /// What came within a while; nothing once it is closed and empty.
    async fn next(&mut self) -> Option<Vec<Span>> {
        let closed = async |closes: &mut watch::Receiver<bool>| {
            // Who could close it may be gone.
            let _ = closes.wait_for(|closed| *closed).await;
        };
        let mut batch = tokio::select! {
            biased;
            spans = self.spans.recv() => spans?,
            () = closed(&mut self.closes) => self.spans.try_recv().ok()?,
        };
        let full = clock::steady().checked_add(BATCH_AFTER).unwrap_or_else(clock::steady);
        while batch.len() < BATCH_SPANS_MAX {
            let more = tokio::select! {
                biased;
                more = self.spans.recv() => more,
                () = sleep_until(full.into()) => None,
                () = closed(&mut self.closes) => self.spans.try_recv().ok(),
            };
            let Some(more) = more else { break };
            batch.extend(more);
        }
        Some(batch)
    }

    /// Sends a batch, again where that may help, and counts what became of it.
    async fn deliver(&mut self, batch: Vec<Span>, counted: &Spans) {
        let count = u64::try_from(batch.len()).unwrap_or(u64::MAX);
        let bytes = self.collector.written(batch);
        let (mut tries, mut wait) = (1, AGAIN_AFTER);
        let dropped = loop {
            let untaken = match self.collector.post(bytes.clone()).await {
                Ok(rejected) => break rejected.min(count),
                Err(untaken) => untaken,
            };
            self.collector.tell(Takes::Nothing, Some(&untaken));
            let named = match untaken {
                Untaken::Refused(_) => break count,
                Untaken::NotNow(_, wait) => wait,
                Untaken::Away(_) => None,
            };
            if tries >= TRIES_MAX || *self.closes.borrow() {
                break count;
            }
            tokio::select! {
                () = sleep(named.unwrap_or(wait).min(AGAIN_AFTER_MAX)) => {}
                // Once more at the end.
                _ = self.closes.wait_for(|closed| *closed) => {}
            }
            (tries, wait) = (tries + 1, wait.saturating_mul(2));
        };
        if dropped < count {
            self.collector.tell(Takes::Them, None);
        }
        counted.exported(count.saturating_sub(dropped));
        counted.dropped(dropped);
    }
}

impl Collector {
    fn written(&self, spans: Vec<Span>) -> Bytes {
        let scope = InstrumentationScope {
            name: env!("CARGO_PKG_NAME").to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            ..InstrumentationScope::default()
        };
        let scope_spans = ScopeSpans { scope: Some(scope), spans, ..ScopeSpans::default() };
        let resource_spans = ResourceSpans {
            resource: Some(self.resource.clone()),
            scope_spans: vec![scope_spans],
            ..ResourceSpans::default()
        };
        let request = ExportTraceServiceRequest { resource_spans: vec![resource_spans] };
        request.encode_to_vec().into()
    }

    /// Posts a batch once: how many spans of it were rejected.
    async fn post(&self, batch: Bytes) -> Result<u64, Untaken> {
        let response = self.client.post(self.url.clone()).body(batch).send().await;
        let response = response.map_err(Untaken::Away)?;
        let status = response.status();
        match status {
            _ if status.is_success() => Ok(rejected(response).await),
            // Source: OTLP, "Retryable Response Codes".
            StatusCode::TOO_MANY_REQUESTS
            | StatusCode::BAD_GATEWAY
            | StatusCode::SERVICE_UNAVAILABLE
            | StatusCode::GATEWAY_TIMEOUT => {
                Err(Untaken::NotNow(status, seconds(response.headers())))
            }
            _ => Err(Untaken::Refused(status)),
        }
    }

    /// Says so when it takes nothing any more, and when it does again.
    fn tell(&mut self, takes: Takes, why: Option<&Untaken>) {
        if std::mem::replace(&mut self.takes, takes) == takes {
            return;
        }
        let collector = self.url.as_str();
        match why {
            Some(why) => {
                tracing::warn!(collector, why = with_causes(why), "spans of traces are not taken");
            }
            None => tracing::info!(collector, "spans of traces are taken again"),
        }
    }
}

/// How many spans of a batch that was taken were rejected.
async fn rejected(response: Response) -> u64 {
    let mut response = response;
    let mut body = Vec::new();
    // What cannot be read says nothing: the batch was taken.
    while let Ok(Some(piece)) = response.chunk().await {
        body.extend_from_slice(&piece);
        if body.len() > ANSWER_BYTES_MAX {
            return 0;
        }
    }
    let answer = ExportTraceServiceResponse::decode(&*body).unwrap_or_default();
    let rejected = answer.partial_success.map(|part| u64::try_from(part.rejected_spans));
    rejected.and_then(Result::ok).unwrap_or(0)
}

/// `Retry-After` in seconds; as a date it is passed over.
fn seconds(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?;
    text.trim().parse().ok().map(Duration::from_secs)
}

/// How long spans wait for others.
const BATCH_AFTER: Duration = Duration::from_secs(1);
/// So many wait for no others. The spans of one exchange are not parted.
const BATCH_SPANS_MAX: usize = 512;

/// From connecting to the last byte of the answer.
const POST_TIMEOUT: Duration = Duration::from_secs(10);
/// How often one batch is sent. What comes meanwhile waits, or is dropped.
const TRIES_MAX: u32 = 4;
/// Before the second try; doubled before each further one.
const AGAIN_AFTER: Duration = Duration::from_secs(1);
/// However long the collector asks to be left alone.
const AGAIN_AFTER_MAX: Duration = Duration::from_secs(30);
const ANSWER_BYTES_MAX: usize = 64 * 1024;
