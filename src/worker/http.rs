//! The worker's HTTP: one path for images, and what is told of it.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use bytes::Bytes;
use tokio::task::spawn_blocking;
use tokio::time::timeout_at;

use super::admission::{Admission, Finished, Place};
use super::body;
use super::container::Kind;
use super::cutout::{Tools, contained, process};
use super::decode::Header;
use super::errand::{Errand, errand};
use super::metrics::{Metrics, Stage};
use super::problem::Problem;
use super::request::{BODY_BYTES_MAX, Wanted};
use super::segment::network::Network;

/// What every request needs.
#[derive(Clone)]
pub(super) struct Service {
    pub(super) admission: Admission,
    pub(super) metrics: Arc<Metrics>,
    /// Empty until it is loaded and warm.
    pub(super) network: Arc<OnceLock<Network>>,
    /// From the last byte of an image to the first of its answer.
    pub(super) patience: Duration,
}

/// Everything the worker answers to.
pub(super) fn router(service: Service) -> Router {
    Router::new()
        .route("/v1/remove-background", post(remove_background))
        .route("/livez", get(|| async { StatusCode::OK }))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .route("/openapi.json", get(|| async { json(StatusCode::OK, OPENAPI) }))
        .fallback(|| async { Problem::NoSuchPath })
        .method_not_allowed_fallback(|| async { Problem::Method })
        .with_state(service)
}

/// Whether there is something that cuts out, and what. A full queue is told to whom it concerns.
async fn ready(State(service): State<Service>) -> Response {
    let Some(network) = service.network.get() else {
        return Problem::Starting.into_response();
    };
    // Plain fields: serialising them cannot fail.
    json(StatusCode::OK, serde_json::to_vec(&network.description()).unwrap_or_default())
}

async fn metrics(State(service): State<Service>) -> Response {
    let page = service.metrics.page(service.admission.load());
    page.map_or_else(|_| Problem::Failed.into_response(), IntoResponse::into_response)
}

fn json(status: StatusCode, body: impl IntoResponse) -> Response {
    (status, [(header::CONTENT_TYPE, "application/json")], body).into_response()
}

/// Judges the head, takes a place, reads the body, waits for a desk, works.
///
/// # Cancel safety
/// When the client leaves, hyper drops this: a body half read and a place in the queue are freed
/// at once; an image at work is given up before its next stage.
async fn remove_background(State(service): State<Service>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let metrics = Arc::clone(&service.metrics);
    let mut counting = metrics.count();
    let (wanted, place) = match admit(&service, &head) {
        Ok(admitted) => admitted,
        Err(problem) => {
            counting.ended(&Err::<(), _>(problem.clone()));
            return refuse(problem, body, &head.headers);
        }
    };
    let media_type = wanted.order.format.media_type();
    let answer = serve(service, body, (wanted, place)).await;
    counting.ended(&answer);
    match answer {
        Ok(file) => ([(header::CONTENT_TYPE, media_type)], file).into_response(),
        Err(problem) => problem.into_response(),
    }
}

/// All that can be said before the body.
fn admit(service: &Service, head: &Parts) -> Result<(Wanted, Place), Problem> {
    let wanted = Wanted::read(&head.uri, &head.headers)?;
    service.network.get().ok_or(Problem::Starting)?;
    let place = service.admission.enter().ok_or(Problem::Busy)?;
    Ok((wanted, place))
}

async fn serve(
    service: Service,
    body: Body,
    (wanted, place): (Wanted, Place),
) -> Result<Bytes, Problem> {
    let receiving = service.metrics.begin(Stage::Receive);
    let bytes = body::read(body, BODY_BYTES_MAX).await?;
    drop(receiving);
    let (_client, errand) = errand(service.patience);
    let deadline = errand.deadline();
    let work = work(bytes, (place, errand), wanted, service);
    // What is sent from is held by the connection, and its memory with it.
    timeout_at(deadline, work).await.unwrap_or(Err(Problem::Late)).map(Bytes::from_owner)
}

/// Waits for a desk and works there.
async fn work(
    bytes: Bytes,
    (place, errand): (Place, Errand),
    wanted: Wanted,
    Service { network, metrics, .. }: Service,
) -> Result<Finished, Problem> {
    // Who waits too long, and is dropped here, is measured too.
    let waiting = metrics.begin(Stage::Wait);
    let (header, place) = read_header(bytes, wanted.kind, place).await?;
    let beside = network.get().ok_or(Problem::Starting)?.bytes();
    let desk = place.work(header.memory(beside)).await.ok_or(Problem::Failed)?;
    drop(waiting);
    let work = move || {
        // The desk goes with the work, so that it is free when the work is done and not when
        // the client has gone.
        let network = network.get().ok_or(Problem::Starting)?;
        let tools = Tools { network, errand: &errand, metrics: &metrics };
        process(header, wanted.order, &tools).map(|file| desk.finish(file))
    };
    spawn_blocking(work).await.unwrap_or(Err(Problem::Failed))
}

/// Headers are parsed off the threads that serve, because compressed metadata can take a while.
/// The place goes along, so that clients who leave meanwhile pile up nothing.
async fn read_header(bytes: Bytes, kind: Kind, place: Place) -> Result<(Header, Place), Problem> {
    let read = move || contained(|| Header::read(bytes, kind).map(|header| (header, place)));
    spawn_blocking(read).await.unwrap_or(Err(Problem::Failed))
}

/// Answers at once, whatever is still to come.
fn refuse(problem: Problem, body: Body, headers: &HeaderMap) -> Response {
    // A client that waits to be asked for the body is not asked.
    if !headers.contains_key(header::EXPECT) {
        body::swallow(body);
    }
    problem.into_response()
}

/// The contract of the path, for those who generate clients; a gateway may serve it on.
const OPENAPI: &str = include_str!("openapi.json");
