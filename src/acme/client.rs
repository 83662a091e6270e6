//! How authorities are asked: by the one HTTP client, within bounds.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::RETRY_AFTER;
use http::{HeaderMap, Request, StatusCode};
use instant_acme::{BodyWrapper, BytesResponse, Error, HttpClient};
use reqwest::{Body, Certificate, Client};

use super::Settings;
use crate::outgoing;

/// A client for one order.
#[derive(Clone)]
pub(super) struct Asking {
    client: Client,
    /// For how many seconds the authority wants not to be asked for more, as it has said last.
    pause: Arc<AtomicU64>,
}

impl Asking {
    /// # Errors
    /// What vouches for the directory cannot be used, or the process has no TLS provider.
    pub(super) fn new(settings: &Settings) -> Result<Self, reqwest::Error> {
        let builder = outgoing::client().https_only(true).timeout(TIMEOUT);
        let authorities = settings.authorities.iter();
        let authorities = authorities.map(|der| Certificate::from_der(der));
        let authorities = authorities.collect::<Result<Vec<_>, _>>()?;
        let builder = match authorities.is_empty() {
            true => builder,
            false => builder.tls_certs_only(authorities),
        };
        Ok(Self { client: builder.build()?, pause: Arc::default() })
    }

    /// For how long the authority wants not to be asked for more.
    pub(super) fn pause(&self) -> Option<Duration> {
        let seconds = self.pause.load(Ordering::Relaxed);
        (seconds > 0).then(|| Duration::from_secs(seconds))
    }

    async fn ask(self, asked: Request<BodyWrapper<Bytes>>) -> Result<BytesResponse, Error> {
        let other = |error: reqwest::Error| Error::Other(error.into());
        let asked = reqwest::Request::try_from(asked.map(Body::wrap)).map_err(other)?;
        let mut answer = self.client.execute(asked).await.map_err(other)?;
        let mut head = http::Response::new(());
        *head.status_mut() = answer.status();
        *head.headers_mut() = std::mem::take(answer.headers_mut());
        if matches!(
            answer.status(),
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE
        ) {
            self.pause.store(retry_after(head.headers()), Ordering::Relaxed);
        }
        let mut body = BytesMut::new();
        while let Some(piece) = answer.chunk().await.map_err(other)? {
            if body.len().saturating_add(piece.len()) > ANSWER_BYTES_MAX {
                return Err(Error::Str("the end of an answer that is too long"));
            }
            body.extend_from_slice(&piece);
        }
        let (parts, ()) = head.into_parts();
        Ok(BytesResponse { parts, body: Box::new(body.freeze()) })
    }
}

impl HttpClient for Asking {
    fn request(
        &self,
        asked: Request<BodyWrapper<Bytes>>,
    ) -> Pin<Box<dyn Future<Output = Result<BytesResponse, Error>> + Send>> {
        Box::pin(self.clone().ask(asked))
    }
}

/// In seconds; a date would need clocks that agree.
fn retry_after(headers: &HeaderMap) -> u64 {
    let text = headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok());
    text.and_then(|text| text.trim().parse().ok()).unwrap_or(0)
}

/// From connecting to the last byte of an answer.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Many times the longest chain.
const ANSWER_BYTES_MAX: usize = 1024 * 1024;
