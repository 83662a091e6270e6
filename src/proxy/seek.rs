//! Which route a request is for, or which answer of the gateway's own.

use std::sync::Arc;

use http::Method;
use pingora::proxy::Session;

use super::admit::Admitted;
use super::{Side, Snapshot, inspect};
use crate::discovery::Page;
use crate::refusal::Refusal;
use crate::route::{CanonicalPath, Found, Route};

/// Who answers a request.
pub(super) enum Sought {
    /// What is behind this route.
    Route(Arc<Route>),
    /// The gateway itself.
    Ours(Admitted),
}

/// Finds it.
///
/// # Errors
/// No route, another method, or another spelling.
pub(super) fn find(session: &Session, now: &Snapshot, side: Side) -> Result<Sought, Refusal> {
    let request = session.req_header();
    let (path, query) = inspect::target(request);
    let path = CanonicalPath::new(path).map_err(|_| Refusal::PathNotCanonical)?;
    if query.is_some_and(|query| !query.iter().all(u8::is_ascii_graphic)) {
        return Err(Refusal::RequestMalformed("the query has bytes that must be escaped".into()));
    }
    let pages = side.answers_clients().then_some(&now.discovery);
    if let Some(page) = pages.and_then(|pages| pages.always(path.as_str())) {
        return give(page, &request.method);
    }
    match now.routes.find(&request.method, inspect::host(request), &path) {
        Found::Route(route) if side.has(&route) => Ok(Sought::Route(route)),
        Found::Options { allow } => Ok(Sought::Ours(Admitted::Preflight { allow })),
        Found::MethodNotAllowed { allow } => Err(Refusal::MethodNotAllowed { allow }),
        Found::OtherSpelling => Err(Refusal::PathNotCanonical),
        Found::Route(_) | Found::Nothing => match pages.and_then(|all| all.page(path.as_str())) {
            Some(page) => give(page, &request.method),
            None => Err(Refusal::NoSuchRoute),
        },
    }
}

/// A document to whoever reads.
fn give(page: &Page, method: &Method) -> Result<Sought, Refusal> {
    let allow = "GET, HEAD, OPTIONS".into();
    match *method {
        Method::GET | Method::HEAD => Ok(Sought::Ours(Admitted::Page(page.clone()))),
        Method::OPTIONS => Ok(Sought::Ours(Admitted::Preflight { allow })),
        _ => Err(Refusal::MethodNotAllowed { allow }),
    }
}
