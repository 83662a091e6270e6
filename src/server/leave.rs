//! The end of a gateway, step by step: whoever is connected hears of it, listeners close, what runs
//! is finished.

use std::time::Duration;

use pingora::server::ShutdownWatch;
use tokio::sync::watch as channel;
use tokio::task::JoinHandle;
use tokio::time::{interval, sleep, timeout};

use crate::observe::Metrics;
use crate::payment::Payments;
use crate::proxy::{Leaving, Present};

/// Says to listeners and connections that the end has come, and sees who is still there.
pub(super) struct Exit {
    last_answers: channel::Sender<bool>,
    listeners_close: channel::Sender<bool>,
    idle_close: channel::Sender<bool>,
    /// Clients, by TLS or not, and proxies that ask.
    pub(super) clients: Present,
    pub(super) operators: Present,
}

/// How long is waited for those who do not know yet.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    /// For whoever opens connections.
    pub(super) listening: Listening,
    /// For whoever has one open on which nothing runs: the next answer on it tells.
    pub(super) idle: Duration,
}

/// How long new connections are still accepted.
#[derive(Clone, Copy, Debug)]
pub(super) enum Listening {
    /// So long, whoever comes or not.
    For(Duration),
    /// So long, or until nobody is connected.
    WhileSomebodyIsHere(Duration),
}

impl Pace {
    /// Nobody is left to be told, or somebody at a terminal waits.
    pub(super) const HURRIED: Self =
        Self { listening: Listening::For(Duration::ZERO), idle: Duration::ZERO };

    /// New connections are taken for so long: whoever sends them needs it to hear of the end.
    pub(super) fn draining(drain: Duration) -> Self {
        Self { listening: Listening::For(drain), idle: IDLE_WAIT }
    }
}

impl Exit {
    pub(super) fn new() -> Self {
        let shut = || channel::channel(false).0;
        Self {
            last_answers: shut(),
            listeners_close: shut(),
            idle_close: shut(),
            clients: Present::default(),
            operators: Present::default(),
        }
    }

    /// Is told when listeners close.
    pub(super) fn listeners(&self) -> ShutdownWatch {
        self.listeners_close.subscribe()
    }

    /// Is told first of all: whoever asks should go elsewhere.
    pub(super) fn told_first(&self) -> ShutdownWatch {
        self.last_answers.subscribe()
    }

    /// What connections hear.
    pub(super) fn leaving(&self) -> Leaving {
        let (last_answers, idle_close) = (self.told_first(), self.idle_close.subscribe());
        Leaving { last_answers, idle_close }
    }

    /// Lets nobody in any more, after those who still come have had their time.
    pub(super) async fn close(&self, listening: Listening) {
        self.last_answers.send_replace(true);
        match listening {
            Listening::For(length) => sleep(length).await,
            Listening::WhileSomebodyIsHere(length) => {
                let nobody = until(|| self.clients.count() == 0);
                // Whoever is still there then is told by the end of the connection.
                let _ = timeout(length, nobody).await;
            }
        }
        self.listeners_close.send_replace(true);
    }

    /// Waits for exchanges and settlements that run, at most for `grace`, and for connections that
    /// are about to send one more request, at most for `idle`.
    pub(super) async fn finish(
        &self,
        (metrics, payments): (&Metrics, &Payments),
        idle: Duration,
        grace: Duration,
    ) {
        let done = async {
            let _ = timeout(idle, until(|| self.clients.count() == 0)).await;
            self.idle_close.send_replace(true);
            until(|| metrics.running() == 0 && payments.under_way() == 0).await;
            self.read_to_the_end().await;
        };
        if timeout(grace, done).await.is_err() {
            let (exchanges, settlements) = (metrics.running(), payments.under_way());
            tracing::warn!(
                exchanges,
                settlements,
                "the grace period is over; recovery does the rest"
            );
        }
    }

    /// Waits a moment for the last bytes of answers that are given.
    pub(super) async fn read_to_the_end(&self) {
        let nobody = until(|| self.clients.count() == 0 && self.operators.count() == 0);
        // Who does not read is not waited for.
        let _ = timeout(LAST_BYTES_WAIT, nobody).await;
    }
}

/// Looks until it is so.
async fn until(so: impl Fn() -> bool) {
    let mut look = interval(LOOK_EVERY);
    while !so() {
        look.tick().await;
    }
}

/// Sends what is left of the traces, if it is taken soon.
pub(super) async fn flush(metrics: &Metrics, exporting: Option<JoinHandle<()>>) {
    let Some(mut exporting) = exporting else { return };
    metrics.close_traces();
    if timeout(FLUSH_MAX, &mut exporting).await.is_err() {
        exporting.abort();
        tracing::warn!("the collector is too slow: the last spans of traces are lost");
    }
}

/// For the last spans of traces.
const FLUSH_MAX: Duration = Duration::from_secs(3);
/// Clients that send anything within this learn from its answer that their connection ends. The
/// others' is closed while they are silent, as after `keepalive`.
const IDLE_WAIT: Duration = Duration::from_secs(5);
const LAST_BYTES_WAIT: Duration = Duration::from_secs(1);
const LOOK_EVERY: Duration = Duration::from_millis(20);
