//! A look at a backend beside the requests: over a connection of its own, as they would come.

use http::{Method, Uri, header};
use pingora::connectors::http::Connector;
use pingora::http::RequestHeader;
use pingora::protocols::http::client::HttpSession;
use pingora::{Error, ErrorType, OrErr as _};

use super::backends::Backend;
use super::upstream::{Target, trust};
use crate::route::upstream::{Health, Http};

/// Opens connections that nobody else uses.
pub struct Prober(Connector);

impl Default for Prober {
    fn default() -> Self {
        Self(trust::connector())
    }
}

impl Prober {
    /// Whether a backend is well.
    ///
    /// # Errors
    /// Why it is not: it cannot be connected to, is too slow, or does not answer 2xx.
    ///
    /// # Cancel safety
    /// The connection is closed.
    pub async fn look(
        &self,
        target: &Target,
        backend: &Backend,
        health: &Health,
    ) -> pingora::Result<()> {
        match tokio::time::timeout(health.timeout, self.ask(target, backend, health)).await {
            Ok(looked) => looked,
            Err(_) => Error::e_explain(ErrorType::ReadTimedout, "it did not answer in time"),
        }
    }

    async fn ask(
        &self,
        target: &Target,
        backend: &Backend,
        health: &Health,
    ) -> pingora::Result<()> {
        let mut peer = target.peer(backend, health.timeout);
        // One is on no connection of another: what is pooled may hide what is between.
        peer.options.max_h2_streams = 1;
        let (mut http, _) = self.0.get_http_session(&*peer).await?;
        let Some(path) = &health.path else { return Ok(()) };
        let request = request(target, backend, path)?;
        http.write_request_header(Box::new(request)).await?;
        http.finish_request_body().await?;
        final_status(&mut http).await
    }
}

async fn final_status(http: &mut HttpSession) -> pingora::Result<()> {
    loop {
        http.read_response_header().await?;
        match http.response_header().map(|head| head.status) {
            Some(status) if status.is_success() => return Ok(()),
            Some(status) if status.is_informational() => {}
            Some(status) => return Err(Error::new(ErrorType::HTTPStatus(status.as_u16()))),
            None => return Error::e_explain(ErrorType::ReadError, "no answer"),
        }
    }
}

fn request(target: &Target, backend: &Backend, path: &str) -> pingora::Result<RequestHeader> {
    let mut request = RequestHeader::build(Method::GET, path.as_bytes(), None)?;
    let authority = backend.place.authority.clone();
    if target.http == Http::Two {
        let scheme = if backend.place.server_name.is_some() { "https" } else { "http" };
        let uri = Uri::builder().scheme(scheme).authority(authority.as_bytes());
        let uri = uri.path_and_query(path).build();
        request.set_uri(uri.or_err(ErrorType::InternalError, "a path that is none")?);
    }
    request.insert_header(header::HOST, authority)?;
    request.insert_header(header::USER_AGENT, "tollgate-health")?;
    for (name, value) in &target.headers {
        request.insert_header(name.clone(), value.clone())?;
    }
    Ok(request)
}
