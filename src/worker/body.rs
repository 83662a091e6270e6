//! Request bodies: read whole up to a bound, or swallowed up to a bound.

use std::future::poll_fn;
use std::pin::Pin;
use std::time::Duration;

use axum::body::{Body, HttpBody};
use bytes::{Bytes, BytesMut};
use tokio::time::timeout;

use super::problem::Problem;

/// The whole body.
///
/// # Errors
/// `BodyTooLarge` as soon as it is; `BodyUnread` when it breaks off or takes too long.
///
/// # Cancel safety
/// What was read is lost.
pub(super) async fn read(mut body: Body, bytes_max: usize) -> Result<Bytes, Problem> {
    let read = timeout(READ_TIMEOUT, collect(&mut body, bytes_max)).await;
    let read = read.unwrap_or(Err(Problem::BodyUnread));
    if read == Err(Problem::BodyTooLarge) {
        swallow(body);
    }
    read
}

/// Listens to the rest of a refused body in the background, and forgets it.
///
/// A client that finds its connection closed while it sends never reads the answer.
pub(super) fn swallow(mut body: Body) {
    tokio::spawn(timeout(SWALLOW_TIMEOUT, async move {
        let mut left = SWALLOW_BYTES_MAX;
        while let Some(Ok(data)) = next(&mut body).await {
            left = left.saturating_sub(data.len());
            if left == 0 {
                break;
            }
        }
    }));
}

async fn collect(body: &mut Body, bytes_max: usize) -> Result<Bytes, Problem> {
    let declared = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    let mut whole = BytesMut::with_capacity(declared.min(bytes_max));
    while let Some(data) = next(body).await {
        let data = data.map_err(|_| Problem::BodyUnread)?;
        if whole.len().saturating_add(data.len()) > bytes_max {
            return Err(Problem::BodyTooLarge);
        }
        whole.extend_from_slice(&data);
    }
    Ok(whole.freeze())
}

/// The next piece; trailers count as an empty one.
async fn next(body: &mut Body) -> Option<Result<Bytes, axum::Error>> {
    let frame = poll_fn(|context| Pin::new(&mut *body).poll_frame(context)).await?;
    Some(frame.map(|frame| frame.into_data().unwrap_or_default()))
}

/// The longest a body may take to arrive.
const READ_TIMEOUT: Duration = Duration::from_secs(60);

/// The longest a refused body is listened to.
const SWALLOW_TIMEOUT: Duration = Duration::from_secs(5);

/// As much of a refused body is listened to.
const SWALLOW_BYTES_MAX: usize = 64 << 20;
