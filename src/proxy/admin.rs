//! The admin listener: `/metrics`, `/livez`, `/readyz`, `/reload`, `/upgrade`,
//! `/dashboard`. Not for the public.

use std::sync::Arc;

use async_trait::async_trait;
use http::{Response, StatusCode, header};
use pingora::apps::http_app::ServeHttp;
use pingora::protocols::http::ServerSession;
use pingora::protocols::l4::socket::SocketAddr;
use tokio::sync::{mpsc, oneshot, watch};

use crate::dashboard::{self, Dashboard, Health};
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
    orders: Orders,
    dashboard: Option<Dashboard>,
}

/// Where an operator's orders go.
#[derive(Debug)]
pub struct Orders {
    /// To read the configuration again.
    pub reloads: mpsc::Sender<Order>,
    /// To start another process, which takes over; nothing where this one is part of another.
    pub upgrades: Option<mpsc::Sender<Order>>,
}

/// An operator asks for something to be done.
#[derive(Debug)]
pub struct Order {
    /// Is told what was done, or why nothing was.
    pub told: oneshot::Sender<Result<String, String>>,
}

impl Admin {
    /// An admin listener that shows these, and hands on what it is asked for.
    pub fn new(
        metrics: Arc<Metrics>,
        readiness: watch::Receiver<Readiness>,
        orders: Orders,
        dashboard: Option<Dashboard>,
    ) -> Self {
        Self { metrics, readiness, orders, dashboard }
    }

    /// Waits for what is asked for on this machine, with the header that no page of a browser can
    /// send.
    async fn order(&self, path: &str, session: &ServerSession) -> (StatusCode, String) {
        let request = session.req_header();
        if request.method != "POST" {
            return (StatusCode::METHOD_NOT_ALLOWED, "POST only\n".to_owned());
        }
        if !is_from_here(session) {
            return (StatusCode::FORBIDDEN, "ask from the machine it runs on\n".to_owned());
        }
        let (header, to, done) = match path {
            UPGRADE => (UPGRADE_HEADER, self.orders.upgrades.as_ref(), "upgraded"),
            _ => (RELOAD_HEADER, Some(&self.orders.reloads), "reloaded"),
        };
        if !request.headers.contains_key(header) {
            return (StatusCode::FORBIDDEN, format!("send `{header}: yes` with it\n"));
        }
        let Some(to) = to else {
            return (StatusCode::CONFLICT, "this gateway is part of another command\n".to_owned());
        };
        let (told, answer) = oneshot::channel();
        // Nobody obeys when the gateway is about to end.
        let ending = || (StatusCode::SERVICE_UNAVAILABLE, "the gateway ends\n".to_owned());
        if to.send(Order { told }).await.is_err() {
            return ending();
        }
        match answer.await {
            Ok(Ok(what)) => (StatusCode::OK, format!("{done}: {what}\n")),
            Ok(Err(why)) => (StatusCode::CONFLICT, format!("{why}\n")),
            Err(_) => ending(),
        }
    }

    fn dashboard_at(&self, method: &str, path: &str) -> Option<&Dashboard> {
        let below = path.strip_prefix(dashboard::PATH)?;
        let asked = method == "GET" && (below.is_empty() || below.starts_with('/'));
        self.dashboard.as_ref().filter(|_| asked)
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
            _ => (
                StatusCode::NOT_FOUND,
                "here are /metrics, /livez, /readyz, POST /reload and POST /upgrade\n".to_owned(),
            ),
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
        let (method, path) = (request.method.as_str(), request.uri.path());
        if let Some(dashboard) = self.dashboard_at(method, path) {
            let query = request.uri.query().unwrap_or_default();
            let (ready, troubles) = match &*self.readiness.borrow() {
                Readiness::Ready(troubles) => (true, troubles.clone()),
                Readiness::Not(reasons) => (false, reasons.clone()),
            };
            let health = Health { ready, troubles: &troubles };
            return dashboard.answer((path, query), &request.headers, &health).await;
        }
        let (status, text) = match path {
            RELOAD | UPGRADE => self.order(path, session).await,
            _ => self.answer(method, path),
        };
        let mut answer = Response::new(text.into_bytes());
        *answer.status_mut() = status;
        let plain = http::HeaderValue::from_static("text/plain; charset=utf-8");
        let length = http::HeaderValue::from(answer.body().len());
        answer.headers_mut().insert(header::CONTENT_TYPE, plain);
        answer.headers_mut().insert(header::CONTENT_LENGTH, length);
        answer
    }
}

/// Whether a request comes from the machine that it goes to.
fn is_from_here(session: &ServerSession) -> bool {
    let ip = |address: Option<&SocketAddr>| Some(address?.as_inet()?.ip());
    let client = ip(session.client_addr());
    client.is_some_and(|client| client.is_loopback() || ip(session.server_addr()) == Some(client))
}

/// A page of another origin may send a simple `POST`, but no header of its own.
pub const RELOAD_HEADER: &str = "x-tollgate-reload";
/// The same for an upgrade.
pub const UPGRADE_HEADER: &str = "x-tollgate-upgrade";
const RELOAD: &str = "/reload";
const UPGRADE: &str = "/upgrade";
