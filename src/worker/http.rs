//! The worker's HTTP: two probes and one path.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use bytes::Bytes;
use tokio::task::spawn_blocking;
use tokio::time::timeout_at;

use super::admission::{Admission, Place};
use super::body;
use super::container::Kind;
use super::cutout::{contained, process};
use super::decode::Header;
use super::errand::{Errand, errand};
use super::problem::Problem;
use super::request::{BODY_BYTES_MAX, Wanted};
use super::segment::Segmenter;

/// What every request needs.
#[derive(Clone)]
pub(super) struct Service {
    pub(super) admission: Admission,
    pub(super) segmenter: Arc<Segmenter>,
    /// From the last byte of an image to the first of its answer.
    pub(super) patience: Duration,
}

/// Everything the worker answers to.
pub(super) fn router(service: Service) -> Router {
    Router::new()
        .route("/v1/remove-background", post(remove_background))
        .route("/livez", get(|| async { StatusCode::OK }))
        .route("/readyz", get(ready))
        .fallback(|| async { Problem::NoSuchPath })
        .method_not_allowed_fallback(|| async { Problem::Method })
        .with_state(service)
}

/// Whether another image could wait, and what cuts it out.
async fn ready(State(service): State<Service>) -> Response {
    let room = service.admission.has_room();
    let status = if room { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    // Two plain fields: serialising them cannot fail.
    let body = serde_json::to_vec(&service.segmenter.description()).unwrap_or_default();
    (status, [(header::CONTENT_TYPE, "application/json")], body).into_response()
}

/// Judges the head, takes a place, reads the body, waits for a desk, works.
///
/// # Cancel safety
/// When the client leaves, hyper drops this: a body half read and a place in the queue are freed
/// at once; an image at work is given up before its next stage.
async fn remove_background(State(service): State<Service>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let wanted = match Wanted::read(&head.uri, &head.headers) {
        Ok(wanted) => wanted,
        Err(problem) => return refuse(problem, body, &head.headers),
    };
    let media_type = wanted.order.format.media_type();
    let Some(place) = service.admission.enter() else {
        return refuse(Problem::Busy, body, &head.headers);
    };
    let answer = async {
        let bytes = body::read(body, BODY_BYTES_MAX).await?;
        let (_client, errand) = errand(service.patience);
        let deadline = errand.deadline();
        let work = work(bytes, (place, errand), wanted, service.segmenter);
        timeout_at(deadline, work).await.unwrap_or(Err(Problem::Late))
    };
    match answer.await {
        Ok(file) => ([(header::CONTENT_TYPE, media_type)], file).into_response(),
        Err(problem) => problem.into_response(),
    }
}

/// Waits for a desk and works there.
async fn work(
    bytes: Bytes,
    (place, errand): (Place, Errand),
    wanted: Wanted,
    segmenter: Arc<Segmenter>,
) -> Result<Vec<u8>, Problem> {
    let (header, place) = read_header(bytes, wanted.kind, place).await?;
    let desk = place.work(header.memory(segmenter.bytes())).await.ok_or(Problem::Failed)?;
    let work = move || {
        // The desk goes with the work, so that it is free when the work is done and not when
        // the client has gone.
        let _desk = desk;
        process(header, wanted.order, &segmenter, &errand)
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
