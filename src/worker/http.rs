//! The worker's HTTP: two probes and one path.

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use bytes::Bytes;
use tokio::task::spawn_blocking;

use super::admission::{Admission, Place};
use super::body;
use super::container::Kind;
use super::cutout::{contained, process};
use super::decode::Header;
use super::problem::Problem;
use super::request::{BODY_BYTES_MAX, Wanted};

/// Everything the worker answers to.
pub(super) fn router(admission: Admission) -> Router {
    Router::new()
        .route("/v1/remove-background", post(remove_background))
        .route("/livez", get(|| async { StatusCode::OK }))
        .route("/readyz", get(ready))
        .fallback(|| async { Problem::NoSuchPath })
        .method_not_allowed_fallback(|| async { Problem::Method })
        .with_state(admission)
}

async fn ready(State(admission): State<Admission>) -> StatusCode {
    if admission.has_room() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }
}

/// Judges the head, takes a place, reads the body, waits for a desk, works.
///
/// # Cancel safety
/// When the client leaves, hyper drops this: a body half read and a place in the queue are freed
/// at once; an image at work is finished and thrown away.
async fn remove_background(State(admission): State<Admission>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let wanted = match Wanted::read(&head.uri, &head.headers) {
        Ok(wanted) => wanted,
        Err(problem) => return refuse(problem, body, &head.headers),
    };
    let Some(place) = admission.enter() else {
        return refuse(Problem::Busy, body, &head.headers);
    };
    let answer = async {
        let bytes = body::read(body, BODY_BYTES_MAX).await?;
        let (header, place) = read_header(bytes, wanted.kind, place).await?;
        let desk = place.work(header.memory()).await.ok_or(Problem::Failed)?;
        let work = move || {
            // The desk goes with the work, so that it is free when the work is done and not when
            // the client has gone.
            let _desk = desk;
            process(header, wanted.output)
        };
        spawn_blocking(work).await.unwrap_or(Err(Problem::Failed))
    };
    match answer.await {
        Ok(file) => ([(header::CONTENT_TYPE, wanted.output.media_type())], file).into_response(),
        Err(problem) => problem.into_response(),
    }
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
