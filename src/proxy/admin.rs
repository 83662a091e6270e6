//! The admin listener: `/metrics`, `/livez`, `/readyz`. Not for the public.

use std::sync::Arc;

use async_trait::async_trait;
use http::{Response, StatusCode, header};
use pingora::apps::http_app::ServeHttp;
use pingora::protocols::http::ServerSession;
use tokio::sync::watch;

use crate::observe::Metrics;

/// Whether requests can be served well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Readiness {
    /// They can, most of them: one line for each trouble that others are not in.
    Ready(Vec<String>),
    /// They cannot, and why: one line for each reason.
    Not(Vec<String>),
}

/// Answers on the admin listener.
pub struct Admin {
    metrics: Arc<Metrics>,
    readiness: watch::Receiver<Readiness>,
}

impl Admin {
    /// An admin listener that shows these.
    pub fn new(metrics: Arc<Metrics>, readiness: watch::Receiver<Readiness>) -> Self {
        Self { metrics, readiness }
    }

    fn answer(&self, method: &str, path: &str) -> (StatusCode, String) {
        if !matches!(method, "GET" | "HEAD") {
            return (StatusCode::METHOD_NOT_ALLOWED, "GET only\n".to_owned());
        }
        match path {
            "/livez" => (StatusCode::OK, "alive\n".to_owned()),
            "/readyz" => match &*self.readiness.borrow() {
                Readiness::Ready(troubles) => (StatusCode::OK, lines("ready", troubles)),
                Readiness::Not(reasons) => {
                    (StatusCode::SERVICE_UNAVAILABLE, format!("{}\n", reasons.join("\n")))
                }
            },
            "/metrics" => match self.metrics.page() {
                Ok(page) => (StatusCode::OK, page),
                Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")),
            },
            _ => (StatusCode::NOT_FOUND, "here are /metrics, /livez and /readyz\n".to_owned()),
        }
    }
}

fn lines(first: &str, more: &[String]) -> String {
    more.iter().fold(format!("{first}\n"), |text, line| text + line + "\n")
}

#[async_trait]
impl ServeHttp for Admin {
    async fn response(&self, session: &mut ServerSession) -> Response<Vec<u8>> {
        let request = session.req_header();
        let (status, text) = self.answer(request.method.as_str(), request.uri.path());
        let mut answer = Response::new(text.into_bytes());
        *answer.status_mut() = status;
        let plain = http::HeaderValue::from_static("text/plain; charset=utf-8");
        let length = http::HeaderValue::from(answer.body().len());
        answer.headers_mut().insert(header::CONTENT_TYPE, plain);
        answer.headers_mut().insert(header::CONTENT_LENGTH, length);
        answer
    }
}
