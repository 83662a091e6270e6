//! Sends the request, and then the same request with one payment until there is an end to it.

use std::net::IpAddr;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, StatusCode};
use reqwest::Url;

use super::demand::{DEMAND_BYTES_MAX, Demand};
use super::error::PayError;
use super::receipt::Receipt;
use super::request::Request;
use super::verdict::{Money, Next, Verdict};
use super::wallet::Payment;
use crate::clock::{Clock, UnixMillis};

/// Asks and pays. It never signs: what it sends again is always the same payment.
#[derive(Debug)]
pub struct Client {
    http: reqwest::Client,
    clock: Clock,
    patience: Patience,
}

/// How long and how often.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// Times that a payment is sent, at most.
    pub sends_max: u32,
    /// First wait between two; it doubles.
    pub wait: Duration,
    /// Longest wait between two, also when the server asks for more.
    pub wait_max: Duration,
    /// From the request's first byte to the answer's last.
    pub answer_timeout: Duration,
    /// Told before each wait, and for how long.
    pub on_wait: fn(Duration),
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            sends_max: 6,
            wait: Duration::from_secs(1),
            wait_max: Duration::from_secs(30),
            answer_timeout: Duration::from_secs(180),
            on_wait: |_| {},
        }
    }
}

/// An answer, whole.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Status.
    pub status: StatusCode,
    /// Headers.
    pub headers: HeaderMap,
    /// Body.
    pub body: Bytes,
}

/// What an unpaid request got.
#[derive(Debug)]
pub enum Asked {
    /// An answer, good or bad; no payment is wanted.
    Answer(Answer),
    /// A 402, and what it asks for.
    Payment(Answer, Demand),
}

/// What a paid request got. Not a 2xx: the server refused, and says the money was not taken.
#[derive(Debug)]
pub struct Paid {
    /// The answer.
    pub answer: Answer,
    /// Its receipt.
    pub receipt: Option<Receipt>,
}

/// Why a request got no whole answer.
enum SendError {
    /// It never left.
    NotSent(reqwest::Error),
    /// It may have arrived.
    Lost(reqwest::Error),
    /// The answer is longer than is read.
    TooLong { status: StatusCode, headers: Box<HeaderMap>, bytes_max: usize },
}

impl Client {
    /// A client for one server. Redirects are not followed: a payment is for who asked for it.
    ///
    /// # Errors
    /// `Machine`: no TLS on this machine.
    pub fn new(clock: Clock, patience: Patience, server: &Url) -> Result<Self, PayError> {
        // Fails when a provider is installed already, and then that one serves.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let builder = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("tollgate/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(patience.answer_timeout);
        let builder = if loopback(server) { builder.no_proxy() } else { builder };
        let http = builder.build().map_err(|cause| PayError::Machine(cause.into()))?;
        Ok(Self { http, clock, patience })
    }

    /// The time of day.
    pub fn now(&self) -> UnixMillis {
        self.clock.now()
    }

    /// Sends the request without a payment.
    ///
    /// # Errors
    /// `Request`, `AnswerTooLong`, `Demand`.
    pub async fn ask(&self, request: &Request) -> Result<Asked, PayError> {
        let answer = self.send(request, None).await.map_err(|error| match error {
            SendError::NotSent(cause) | SendError::Lost(cause) => PayError::Request(cause),
            SendError::TooLong { bytes_max, .. } => PayError::AnswerTooLong(bytes_max),
        })?;
        if answer.status != StatusCode::PAYMENT_REQUIRED {
            return Ok(Asked::Answer(answer));
        }
        let header = answer.headers.get("payment-required").map(http::HeaderValue::as_bytes);
        let demand = Demand::read(header, &answer.body)?;
        Ok(Asked::Payment(answer, demand))
    }

    /// Sends the request with the payment; again with the same payment while the outcome is open.
    ///
    /// # Errors
    /// `NotSent`: nothing was paid. `OutcomeUnknown`, `AnswerLost`: see there.
    ///
    /// # Cancel safety
    /// The payment may have been sent; only sending the same one again is safe.
    pub async fn pay(&self, request: &Request, payment: &Payment) -> Result<Paid, PayError> {
        let mut course = Course::new(payment);
        let mut wait = self.patience.wait;
        for sends_left in (0..self.patience.sends_max).rev() {
            let mut asked_wait = None;
            match self.send(request, Some(payment)).await {
                Ok(answer) => {
                    let verdict = Verdict::of(&answer);
                    match verdict.next {
                        Next::Again(after) if sends_left > 0 => asked_wait = after,
                        Next::Again(_) | Next::Stop => return course.end(answer, verdict),
                    }
                    course.learn(verdict);
                }
                Err(error) => course.missed(error)?,
            }
            if sends_left > 0 {
                let pause = asked_wait.unwrap_or(wait).min(self.patience.wait_max);
                (self.patience.on_wait)(pause);
                tokio::time::sleep(pause).await;
                wait = wait.saturating_mul(2);
            }
        }
        Err(course.broken_off())
    }

    async fn send(
        &self,
        request: &Request,
        payment: Option<&Payment>,
    ) -> Result<Answer, SendError> {
        let mut builder = self
            .http
            .request(request.method.clone(), request.url.clone())
            .headers(request.headers.clone());
        if !request.body.is_empty() {
            builder = builder.body(request.body.clone());
        }
        if let Some(payment) = payment {
            builder = builder.header(payment.header, &payment.value);
        }
        let response = builder.send().await.map_err(|error| {
            let never_left = error.is_connect() || error.is_builder();
            if never_left { SendError::NotSent(error) } else { SendError::Lost(error) }
        })?;
        collect(response).await
    }
}

async fn collect(mut response: reqwest::Response) -> Result<Answer, SendError> {
    let (status, headers) = (response.status(), response.headers().clone());
    let bytes_max = match status {
        StatusCode::PAYMENT_REQUIRED => DEMAND_BYTES_MAX,
        _ => ANSWER_BYTES_MAX,
    };
    let mut body = BytesMut::new();
    while let Some(chunk) = response.chunk().await.map_err(SendError::Lost)? {
        if body.len().saturating_add(chunk.len()) > bytes_max {
            return Err(SendError::TooLong { status, headers: Box::new(headers), bytes_max });
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Answer { status, headers, body: body.freeze() })
}

/// What has been learned of one payment over all the times it was sent.
struct Course<'a> {
    payment: &'a Payment,
    money: Money,
    transaction: Option<String>,
    not_sent: Option<reqwest::Error>,
}

impl<'a> Course<'a> {
    fn new(payment: &'a Payment) -> Self {
        Self { payment, money: Money::Kept, transaction: None, not_sent: None }
    }

    /// Once the outcome is open, a later "kept" does not close it: it may be about the later send.
    fn learn(&mut self, verdict: Verdict) {
        self.transaction = verdict.transaction.or(self.transaction.take());
        self.money = match (self.money, verdict.money) {
            (Money::Taken, _) | (_, Money::Taken) => Money::Taken,
            (Money::Unknown, _) | (_, Money::Unknown) => Money::Unknown,
            (Money::Kept, Money::Kept) => Money::Kept,
        };
    }

    fn missed(&mut self, error: SendError) -> Result<(), PayError> {
        match error {
            SendError::NotSent(cause) => self.not_sent = Some(cause),
            SendError::Lost(_) => self.money = Money::Unknown,
            SendError::TooLong { status, headers, .. } => {
                let answer = Answer { status, headers: *headers, body: Bytes::new() };
                self.learn(Verdict::of(&answer));
                return Err(self.unserved());
            }
        }
        Ok(())
    }

    fn end(mut self, answer: Answer, verdict: Verdict) -> Result<Paid, PayError> {
        self.learn(verdict);
        if answer.status.is_success() || self.money == Money::Kept {
            let receipt = Receipt::of(&answer.headers);
            return Ok(Paid { answer, receipt });
        }
        Err(self.unserved())
    }

    fn broken_off(mut self) -> PayError {
        match (self.money, self.not_sent.take()) {
            (Money::Kept, Some(cause)) => PayError::NotSent(cause),
            _ => self.unserved(),
        }
    }

    fn unserved(&mut self) -> PayError {
        let identity = Box::new(self.payment.identity.clone());
        let transaction = self.transaction.take();
        match self.money {
            Money::Taken => PayError::AnswerLost { identity, transaction },
            Money::Kept | Money::Unknown => {
                let valid_before = self.payment.valid_before;
                PayError::OutcomeUnknown { identity, transaction, valid_before }
            }
        }
    }
}

fn loopback(server: &Url) -> bool {
    let host = server.host_str().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Longest answer that is kept, in bytes.
const ANSWER_BYTES_MAX: usize = 256 * 1024 * 1024;
