//! Work that goes on when the request that began it is dropped.

use std::future::{Future, poll_fn};
use std::task::Poll;

use tokio::runtime::Handle;
use tokio::task::JoinError;

/// Runs `work` to its end, whatever becomes of the caller.
///
/// The first step is taken in place: work that never waits, such as a simulated settlement with a
/// ledger in memory, is done without a task. Everything else moves to `runtime`, whose timers and
/// sockets it uses from the first step on.
///
/// # Errors
/// The work panicked.
///
/// # Cancel safety
/// Dropping this future leaves the work running; what it returns is then dropped.
pub(super) async fn outlive<T: Send + 'static>(
    runtime: &Handle,
    work: impl Future<Output = T> + Send + 'static,
) -> Result<T, JoinError> {
    let mut work = Box::pin(work);
    let first = poll_fn(|context| {
        let _on = runtime.enter();
        Poll::Ready(work.as_mut().poll(context))
    });
    match first.await {
        Poll::Ready(done) => Ok(done),
        Poll::Pending => runtime.spawn(work).await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn work_that_never_waits_is_done_in_place() {
        let here = std::thread::current().id();
        let there = outlive(&Handle::current(), async { std::thread::current().id() }).await;
        assert_eq!(there.unwrap(), here);
    }

    #[tokio::test]
    async fn work_goes_on_when_the_caller_is_gone() {
        let (start, started) = tokio::sync::oneshot::channel::<()>();
        let (end, ended) = tokio::sync::oneshot::channel();
        let runtime = Handle::current();
        let mut caller = Box::pin(outlive(&runtime, async move {
            let _ = started.await;
            let _ = end.send("done");
        }));
        assert!(poll_fn(|context| Poll::Ready(caller.as_mut().poll(context))).await.is_pending());
        drop(caller);
        let _ = start.send(());
        assert_eq!(ended.await, Ok("done"));
    }
}
