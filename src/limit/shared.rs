//! Buckets in Redis, which several gateways take from as if they were one.
//!
//! One connection, over which scripts are sent without waiting for one another. Whoever is not
//! answered in time gives the connection up for all: until [`Shared::keep`] has another one, nobody
//! waits, and each gateway counts for itself.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, RedisError, Script};
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};

use super::rate::Measure;
use super::{Quota, StoreUrl, TooMany};
use crate::clock;

/// The buckets of several gateways.
pub struct Shared {
    client: Client,
    place: Box<str>,
    answer_max: Duration,
    script: Script,
    /// Nothing while each gateway counts for itself.
    link: ArcSwapOption<MultiplexedConnection>,
    /// Somebody has given the connection up.
    lost: Notify,
}

/// Who counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counting {
    /// All gateways together.
    Together,
    /// Each for itself, with its share of every limit.
    Alone,
}

/// Why the buckets cannot be reached.
#[derive(Debug, thiserror::Error)]
pub enum SharedError {
    /// It said no, or cannot be connected to.
    #[error("Redis cannot be asked: {0}")]
    Redis(#[from] RedisError),
    /// It did not answer in time.
    #[error("Redis has not answered within {}ms", .0.as_millis())]
    Slow(Duration),
}

/// What is done with a bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Act {
    Take,
    Give,
}

impl Shared {
    /// Buckets at this place, which nobody has asked yet. An answer may take `answer_max`.
    ///
    /// # Errors
    /// The place cannot be spoken to at all.
    pub fn new(url: &StoreUrl, answer_max: Duration) -> Result<Self, SharedError> {
        Ok(Self {
            client: Client::open(url.info().clone())?,
            place: url.to_string().into(),
            answer_max,
            script: Script::new(&format!("{CLOCK}{BUCKET}")),
            link: ArcSwapOption::empty(),
            lost: Notify::new(),
        })
    }

    /// Connects, and tries a bucket.
    ///
    /// # Errors
    /// No connection within a second, or no good answer in time.
    pub async fn connect(&self) -> Result<(), SharedError> {
        // The times are ours: the client's own are for single commands.
        let config =
            AsyncConnectionConfig::new().set_connection_timeout(None).set_response_timeout(None);
        let connecting = self.client.get_multiplexed_async_connection_with_config(&config);
        let connected = timeout(CONNECT_MAX, connecting).await;
        let link = connected.map_err(|_| SharedError::Slow(CONNECT_MAX))??;
        self.ask(&link, Act::Take, "tollgate:trial", &TRIAL).await?;
        self.link.store(Some(Arc::new(link)));
        Ok(())
    }

    /// Keeps a connection for as long as it is polled, and says `told` who counts from then on.
    pub async fn keep(&self, told: impl Fn(Counting)) {
        let mut wait = RETRY_FIRST;
        told(Counting::Alone);
        loop {
            let since = clock::steady();
            if self.link.load().is_some() {
                told(Counting::Together);
                self.until_lost().await;
                told(Counting::Alone);
            }
            if since.elapsed() > STEADY_AFTER {
                wait = RETRY_FIRST;
            }
            sleep(wait).await;
            wait = wait.saturating_mul(2).min(RETRY_MAX);
            if self.connect().await.is_ok() {
                tracing::info!(at = &*self.place, "limits are shared with other gateways again");
            }
        }
    }

    /// Who counts now.
    pub fn counting(&self) -> Counting {
        if self.link.load().is_some() { Counting::Together } else { Counting::Alone }
    }

    /// Waits for the end of the connection, and looks for it where nobody else asks.
    async fn until_lost(&self) {
        while let Some(link) = self.link.load_full() {
            if timeout(LOOK_EVERY, self.lost.notified()).await.is_err() {
                let asked = self.ask(&link, Act::Take, "tollgate:trial", &TRIAL).await;
                let _ = asked.map_err(|why| self.lose(&link, &why));
            }
        }
    }

    /// Takes one from a bucket. Nothing while each gateway counts for itself.
    pub(super) async fn take(
        &self,
        bucket: &str,
        measure: &Measure,
    ) -> Option<Result<Quota, TooMany>> {
        Some(match self.act(Act::Take, bucket, measure).await? {
            (0, nanos) => Err(measure.empty(Duration::from_nanos(nanos))),
            (_, left) => Ok(measure.left(u32::try_from(left).unwrap_or(u32::MAX))),
        })
    }

    /// Puts one back. Nothing while each gateway counts for itself.
    pub(super) async fn give_back(&self, bucket: &str, measure: &Measure) -> Option<()> {
        self.act(Act::Give, bucket, measure).await.map(drop)
    }

    async fn act(&self, act: Act, bucket: &str, measure: &Measure) -> Option<(u64, u64)> {
        let link = self.link.load_full()?;
        let answered = self.ask(&link, act, bucket, measure).await;
        answered.map_err(|why| self.lose(&link, &why)).ok()
    }

    async fn ask(
        &self,
        link: &MultiplexedConnection,
        act: Act,
        bucket: &str,
        measure: &Measure,
    ) -> Result<(u64, u64), SharedError> {
        let mut call = self.script.key(bucket);
        call.arg(measure.interval_nanos()).arg(measure.limit().get());
        call.arg(match act {
            Act::Take => "take",
            Act::Give => "give",
        });
        let mut link = link.clone();
        let answered = timeout(self.answer_max, call.invoke_async(&mut link)).await;
        Ok(answered.map_err(|_| SharedError::Slow(self.answer_max))??)
    }

    /// Gives a connection up, if nobody has done so before.
    fn lose(&self, link: &Arc<MultiplexedConnection>, why: &SharedError) {
        let held = self.link.compare_and_swap(link, None);
        if held.as_ref().is_some_and(|held| Arc::ptr_eq(held, link)) {
            self.told_alone(why);
            self.lost.notify_one();
        }
    }

    /// Says that each gateway counts for itself now.
    pub fn told_alone(&self, why: &SharedError) {
        let at = &*self.place;
        tracing::warn!(at, %why, "limits are this gateway's own, a share of each, until further");
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Shared").field(&self.place).finish()
    }
}

/// One clock for all gateways: Redis's own.
const CLOCK: &str = "local time = redis.call('TIME')\n\
     local now, spare = time[1] * 1000000 + time[2], 1\n";
const BUCKET: &str = include_str!("bucket.lua");

/// The bucket of a trial is never empty.
const TRIAL: Measure = Measure::never_empty();

const CONNECT_MAX: Duration = Duration::from_secs(1);
/// The first wait before another connection is tried; doubled up to [`RETRY_MAX`].
const RETRY_FIRST: Duration = Duration::from_millis(250);
const RETRY_MAX: Duration = Duration::from_secs(8);
/// What was there for so long is tried again at once when it is lost.
const STEADY_AFTER: Duration = Duration::from_secs(30);
const LOOK_EVERY: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests;
