//! Work that goes on when the request that began it is dropped.

use std::future::{Future, poll_fn};
use std::task::Poll;

use tokio::task::JoinError;

/// Runs `work` to its end, whatever becomes of the caller.
///
/// The first step is taken in place: work that never waits, such as a simulated settlement with a
/// ledger in memory, is done without a task. Everything else becomes a task beside the caller's, on
/// the same thread where threads do not share work: to wake another one costs more than the work.
///
/// # Errors
/// The work panicked.
///
/// # Cancel safety
/// Dropping this future leaves the work running; what it returns is then dropped.
pub(super) fn outlive<T: Send + 'static>(
    work: impl Future<Output = T> + Send + 'static,
) -> impl Future<Output = Result<T, JoinError>> {
    // In its box before anybody waits: whoever waits would have room for it otherwise.
    let mut work = Box::pin(work);
    async move {
        match poll_fn(|context| Poll::Ready(work.as_mut().poll(context))).await {
            Poll::Ready(done) => Ok(done),
            Poll::Pending => tokio::spawn(work).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn work_that_never_waits_is_done_in_place() {
        // What `block_on` runs is no task.
        let there = outlive(async { tokio::task::try_id() }).await;
        assert_eq!(there.unwrap(), None);
    }

    #[tokio::test]
    async fn work_goes_on_when_the_caller_is_gone() {
        let (start, started) = tokio::sync::oneshot::channel::<()>();
        let (end, ended) = tokio::sync::oneshot::channel();
        let mut caller = Box::pin(outlive(async move {
            let _ = started.await;
            let _ = end.send("done");
        }));
        assert!(poll_fn(|context| Poll::Ready(caller.as_mut().poll(context))).await.is_pending());
        drop(caller);
        let _ = start.send(());
        assert_eq!(ended.await, Ok("done"));
    }
}
