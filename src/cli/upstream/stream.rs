//! A body that comes piece by piece, with a pause before each but the first.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::Bytes;
use http_body::{Body, Frame};
use tokio::time::{Sleep, sleep};

/// Pieces that are still to come.
pub(super) struct Events {
    pieces: VecDeque<Bytes>,
    pause: Duration,
    pausing: Option<Pin<Box<Sleep>>>,
}

impl Events {
    pub(super) fn new(pieces: VecDeque<Bytes>, pause: Duration) -> Self {
        Self { pieces, pause, pausing: None }
    }
}

impl Body for Events {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if let Some(pausing) = &mut self.pausing {
            ready!(pausing.as_mut().poll(context));
        }
        let piece = self.pieces.pop_front();
        self.pausing = Some(Box::pin(sleep(self.pause)));
        Poll::Ready(piece.map(|piece| Ok(Frame::data(piece))))
    }
}
