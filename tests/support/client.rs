//! Well-behaved clients: one request, one whole answer.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::HeaderMap;
use reqwest::{Body, Client, ClientBuilder, RequestBuilder, Response, redirect};
use serde_json::Value;

use super::wallet::Payment;
use super::{PATIENCE, in_time};

/// A client that does nothing by itself: no redirects, no proxy, no retries.
pub fn client() -> Client {
    builder().build().unwrap()
}

/// The same by HTTP/2 in the clear.
pub fn client_of_http2() -> Client {
    builder().http2_prior_knowledge().build().unwrap()
}

fn builder() -> ClientBuilder {
    // Another test may have been first, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::builder()
        .no_proxy()
        .redirect(redirect::Policy::none())
        .retry(reqwest::retry::never())
        .timeout(PATIENCE)
        .connect_timeout(Duration::from_secs(10))
}

/// A request that has not been sent.
pub struct Ask(RequestBuilder);

impl Ask {
    pub fn new(client: &Client, method: &str, url: &str) -> Self {
        Self(client.request(method.parse().unwrap(), url))
    }

    pub fn header(self, name: &str, value: &str) -> Self {
        Self(self.0.header(name, value))
    }

    /// With a payment in the words of version 2.
    pub fn pays(self, payment: &Payment) -> Self {
        self.header("PAYMENT-SIGNATURE", &payment.v2())
    }

    /// With a payment in the words of version 1.
    pub fn pays_v1(self, payment: &Payment) -> Self {
        self.header("X-PAYMENT", &payment.v1())
    }

    pub fn body(self, body: impl Into<Body>) -> Self {
        Self(self.0.body(body))
    }

    /// Sends it and reads the whole answer.
    pub async fn send(self) -> Answer {
        self.try_send().await.unwrap()
    }

    /// Sends it and reads the whole answer, if there is one.
    pub async fn try_send(self) -> reqwest::Result<Answer> {
        let response = self.0.send().await?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Ok(Answer { status, headers, body: response.bytes().await?.to_vec() })
    }

    /// Sends it and gives the answer as soon as its head is there.
    pub async fn open(self) -> Response {
        in_time("the head of an answer", self.0.send()).await.unwrap()
    }
}

/// A whole answer.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

impl Answer {
    /// The value of a header; empty when it is not there.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("no JSON: {self:?}"))
    }

    /// The object of a header that is base64 of JSON.
    pub fn object(&self, name: &str) -> Value {
        let json = STANDARD.decode(self.header(name));
        let json = json.unwrap_or_else(|_| panic!("{name}: {self:?}"));
        serde_json::from_slice(&json).unwrap_or_else(|_| panic!("{name}: {self:?}"))
    }
}
