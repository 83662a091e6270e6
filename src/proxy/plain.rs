//! The listener without TLS: answers an authority that looks whether a name leads here, and sends
//! everybody else to where TLS is.

use std::sync::Arc;

use async_trait::async_trait;
use http::{HeaderValue, Response, StatusCode, header};
use pingora::apps::http_app::ServeHttp;
use pingora::http::RequestHeader;
use pingora::protocols::http::ServerSession;
use tokio::sync::watch;

use crate::acme::{Challenges, Settings};

/// Answers without TLS.
pub struct Plain {
    challenges: Arc<Challenges>,
    settings: watch::Receiver<Option<Arc<Settings>>>,
    /// Where TLS is, if not at the usual port.
    port: Option<u16>,
}

impl Plain {
    /// Sends clients to the names of `settings`, at this port.
    pub fn new(
        challenges: Arc<Challenges>,
        settings: watch::Receiver<Option<Arc<Settings>>>,
        port: Option<u16>,
    ) -> Self {
        Self { challenges, settings, port }
    }

    fn answer(&self, request: &RequestHeader) -> Response<Vec<u8>> {
        let path = request.uri.path();
        if let Some(token) = path.strip_prefix(CHALLENGES) {
            let answer = match self.challenges.token(token) {
                Some(answer) if request.method == http::Method::GET => answer,
                Some(_) | None => return of_status(StatusCode::NOT_FOUND),
            };
            let mut found = Response::new(answer.as_bytes().to_vec());
            let bytes = HeaderValue::from_static("application/octet-stream");
            found.headers_mut().insert(header::CONTENT_TYPE, bytes);
            return found;
        }
        match self.elsewhere(request) {
            Some(place) => {
                let mut moved = of_status(StatusCode::PERMANENT_REDIRECT);
                moved.headers_mut().insert(header::LOCATION, place);
                moved
            }
            None => of_status(StatusCode::NOT_FOUND),
        }
    }

    /// The same by TLS: at the name that the client asks for where it is one of ours, else at the
    /// first of ours.
    fn elsewhere(&self, request: &RequestHeader) -> Option<HeaderValue> {
        let settings = self.settings.borrow().clone()?;
        let asked = request.headers.get(header::HOST).and_then(|host| host.to_str().ok());
        let asked = asked.or_else(|| request.uri.host()).unwrap_or_default();
        let asked = asked.split(':').next().unwrap_or_default();
        let ours = settings.names.iter().find(|name| name.eq_ignore_ascii_case(asked));
        let name = ours.or_else(|| settings.names.first())?;
        let port = self.port.map(|port| format!(":{port}")).unwrap_or_default();
        let path = request.uri.path_and_query().map(http::uri::PathAndQuery::as_str);
        let path = path.filter(|path| path.starts_with('/')).unwrap_or("/");
        HeaderValue::try_from(format!("https://{name}{port}{path}")).ok()
    }
}

fn of_status(status: StatusCode) -> Response<Vec<u8>> {
    let mut answer = Response::new(Vec::new());
    *answer.status_mut() = status;
    answer
}

#[async_trait]
impl ServeHttp for Plain {
    async fn response(&self, session: &mut ServerSession) -> Response<Vec<u8>> {
        // Whoever is sent elsewhere has nothing more to ask here, and its body is not read.
        session.set_keepalive(None);
        let mut answer = self.answer(session.req_header());
        let length = HeaderValue::from(answer.body().len());
        answer.headers_mut().insert(header::CONTENT_LENGTH, length);
        answer
    }
}

/// Source: RFC 8555 §8.3.
const CHALLENGES: &str = "/.well-known/acme-challenge/";
