//! One bounded question over HTTP: what was answered, or whether it may have been heard.

use std::time::Duration;

use ::http::header::{AUTHORIZATION, RETRY_AFTER};
use ::http::{HeaderMap, HeaderValue, Method, StatusCode};
use bytes::Bytes;
use reqwest::{Client, Response, Url};
use tokio::sync::Semaphore;
use tokio::time;

use super::SettingsError;
use super::auth::Auth;
use crate::clock::Clock;
use crate::fault::{Fault, Retry, Side};
use crate::outgoing::{self, TRACE_PARENT};

/// What all addresses of a facilitator have in common.
pub(super) struct Shared {
    pub(super) client: Client,
    pub(super) auth: Auth,
    pub(super) clock: Clock,
    /// At each address.
    pub(super) in_flight_max: usize,
}

/// One address of a facilitator, with its own bound on what is in flight.
pub(super) struct Endpoint {
    client: Client,
    auth: Auth,
    clock: Clock,
    method: Method,
    url: Url,
    /// Host and path, as a signed request names them.
    place: Box<str>,
    timeout: Duration,
    permits: Semaphore,
}

/// An answer that came to its end, in time and within bounds.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    /// For how long it wants not to be asked.
    pub(super) pause: Option<Duration>,
    pub(super) body: Vec<u8>,
}

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum Unanswered {
    /// Not a byte of the question went out.
    NotSent(Fault),
    /// The question may have been heard and acted upon.
    Perhaps(Fault),
}

impl Unanswered {
    /// What broke, for a question that moves nothing.
    pub(super) fn into_fault(self) -> Fault {
        match self {
            Self::NotSent(fault) | Self::Perhaps(fault) => fault,
        }
    }
}

/// The client that all endpoints of a facilitator share, and its pool of connections.
pub(super) fn client(
    headers: HeaderMap,
    timeout_shortest: Duration,
) -> Result<Client, SettingsError> {
    outgoing::client()
        .default_headers(headers)
        .connect_timeout(CONNECT_TIMEOUT_MAX.min(timeout_shortest / CONNECT_SHARE))
        .pool_idle_timeout(IDLE_TIMEOUT)
        .http2_keep_alive_interval(KEEP_ALIVE)
        .http2_keep_alive_timeout(KEEP_ALIVE)
        .tcp_keepalive(KEEP_ALIVE)
        .build()
        .map_err(SettingsError::Client)
}

impl Endpoint {
    pub(super) fn new(shared: &Shared, method: Method, url: Url, timeout: Duration) -> Self {
        let permits = Semaphore::new(shared.in_flight_max.clamp(1, Semaphore::MAX_PERMITS));
        let port = url.port().map_or_else(String::new, |port| format!(":{port}"));
        let place = format!("{}{port}{}", url.host_str().unwrap_or_default(), url.path()).into();
        Self {
            client: shared.client.clone(),
            auth: shared.auth.clone(),
            clock: shared.clock.clone(),
            method,
            url,
            place,
            timeout,
            permits,
        }
    }

    pub(super) fn url(&self) -> &Url {
        &self.url
    }

    /// Asks, as the span `parent` where there is one, and reads the whole answer. Waits at most
    /// twice `timeout`: once for a place among those in flight, once from connecting to the last
    /// byte.
    pub(super) async fn ask(
        &self,
        body: Option<Bytes>,
        parent: Option<&HeaderValue>,
    ) -> Result<Answer, Unanswered> {
        let busy = || fault("too many questions are in flight");
        let _permit = time::timeout(self.timeout, self.permits.acquire())
            .await
            .map_err(|late| Unanswered::NotSent(busy().caused_by(late)))?
            .map_err(|closed| Unanswered::NotSent(busy().caused_by(closed)))?;
        time::timeout(self.timeout, self.exchange(body, parent))
            .await
            .map_err(|late| Unanswered::Perhaps(broken("no answer in time").caused_by(late)))?
    }

    async fn exchange(
        &self,
        body: Option<Bytes>,
        parent: Option<&HeaderValue>,
    ) -> Result<Answer, Unanswered> {
        let response = self.send(body, parent).await?;
        let status = response.status();
        let pause = pause(status, response.headers());
        let body = read(response).await.map_err(Unanswered::Perhaps)?;
        Ok(Answer { status, pause, body })
    }

    /// Sends the question once; only a connection that was never made is tried again.
    async fn send(
        &self,
        body: Option<Bytes>,
        parent: Option<&HeaderValue>,
    ) -> Result<Response, Unanswered> {
        let mut attempts = 1;
        loop {
            let mut request = self.client.request(self.method.clone(), self.url.clone());
            // Signed now: what was signed before the wait for a place could be too old.
            let auth = self.auth.header(&self.method, &self.place, self.clock.now());
            if let Some(value) = auth.map_err(Unanswered::NotSent)? {
                request = request.header(AUTHORIZATION, value);
            }
            if let Some(parent) = parent {
                request = request.header(TRACE_PARENT, parent);
            }
            if let Some(body) = &body {
                request = request.body(body.clone());
            }
            let error = match request.send().await {
                Ok(response) => return Ok(response),
                // The address is the operator's own and may hold a key.
                Err(error) => error.without_url(),
            };
            if !error.is_connect() {
                let lost = broken("the connection was lost before an answer").caused_by(error);
                return Err(Unanswered::Perhaps(lost));
            }
            if attempts == CONNECT_ATTEMPTS_MAX {
                let refused = fault("no connection can be made").caused_by(error);
                return Err(Unanswered::NotSent(refused));
            }
            attempts += 1;
            time::sleep(CONNECT_PAUSE).await;
        }
    }
}

/// The `Retry-After` of a refusal that has one in seconds; a date would need clocks that agree.
fn pause(status: StatusCode, headers: &HeaderMap) -> Option<Duration> {
    let busy = matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE);
    let seconds = headers.get(RETRY_AFTER).filter(|_| busy)?.to_str().ok()?.trim();
    seconds.parse().ok().map(Duration::from_secs)
}

/// Reads a body to its end.
async fn read(mut response: Response) -> Result<Vec<u8>, Fault> {
    let mut body = Vec::new();
    loop {
        let chunk = response
            .chunk()
            .await
            .map_err(|error| broken("the answer was cut off").caused_by(error.without_url()))?;
        let Some(chunk) = chunk else { return Ok(body) };
        if body.len() + chunk.len() > ANSWER_BYTES_MAX {
            return Err(broken("the answer is too long"));
        }
        body.extend_from_slice(&chunk);
    }
}

fn fault(context: &'static str) -> Fault {
    Fault::new(Side::Facilitator, Retry::Later, context)
}

/// Once it has heard the question, what was asked about may be what broke it.
fn broken(context: &'static str) -> Fault {
    fault(context).of_one_payer()
}

/// Longest answer that is read.
pub(super) const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// Name, connection and TLS of one attempt.
const CONNECT_TIMEOUT_MAX: Duration = Duration::from_secs(2);

/// All attempts to connect end within the timeout of a question, with one share left for the
/// answer: a facilitator that is gone is known to be gone.
const CONNECT_SHARE: u32 = CONNECT_ATTEMPTS_MAX + 1;

const CONNECT_ATTEMPTS_MAX: u32 = 3;

/// Between two attempts; a facilitator that restarts is back after a few.
const CONNECT_PAUSE: Duration = Duration::from_millis(50);

/// Shorter than the 5 s after which the most common servers close an idle connection: a question
/// that meets such a close is lost, and a lost settlement is an unknown one.
const IDLE_TIMEOUT: Duration = Duration::from_secs(4);

/// How soon a connection whose other end has vanished is given up.
const KEEP_ALIVE: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn without_a_place_in_flight_nothing_is_sent() {
        rustls::crypto::ring::default_provider().install_default().ok();
        let wait = Duration::from_millis(20);
        let client = client(HeaderMap::new(), wait).unwrap();
        // Nobody listens there; a request that went out would say that no connection was made.
        let url = Url::parse("http://127.0.0.1:9/settle").unwrap();
        let shared = Shared { client, auth: Auth::None, clock: Clock::System, in_flight_max: 1 };
        let endpoint = Endpoint::new(&shared, Method::POST, url, wait);
        let _taken = endpoint.permits.acquire().await.unwrap();
        match endpoint.ask(None, None).await {
            Err(Unanswered::NotSent(fault)) => {
                assert!(fault.to_string().contains("too many"), "{fault}");
            }
            _ => panic!("it was sent"),
        }
    }
}
