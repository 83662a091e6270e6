//! Traces: which exchanges are followed, and where the spans of those that are go.

mod context;
mod counted;
mod export;
mod span;

use std::fmt;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use http::{HeaderMap, HeaderName, HeaderValue};
use ipnet::IpNet;
use opentelemetry_proto::tonic::trace::v1::Span;
use tokio::sync::{mpsc, watch};

use super::Observed;
use crate::clock::{self, Clock};
use crate::route::upstream::Secret;

pub use context::TRACE_STATE;
use context::{Context, SpanId, TraceId};
pub use counted::{SPANS, Spans};
pub use export::{Exporter, TracesError};

/// Which traces there are, and where they go.
#[derive(Clone, Debug)]
pub struct Settings {
    /// What spans are posted to, by OTLP over HTTP.
    pub url: Box<str>,
    /// Sent with each post.
    pub headers: Vec<(HeaderName, Secret)>,
    /// How many are kept, where no parent says.
    pub sample: Sample,
    /// Whose `traceparent` says whether a trace is kept.
    pub trusted_parents: Vec<IpNet>,
    /// What the gateway is called in them.
    pub service: Box<str>,
    /// Where clients find it.
    pub server: Server,
}

/// Where clients find the gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// `http` or `https`.
    pub scheme: Box<str>,
    /// Name or address.
    pub host: Box<str>,
    /// Port.
    pub port: u16,
}

/// A part of all traces, in millionths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample(u32);

impl Sample {
    /// Every trace.
    pub const ALL: Self = Self(WHOLE);

    /// So many millionths; nothing beyond a whole.
    pub fn of(millionths: u32) -> Option<Self> {
        (millionths <= WHOLE).then_some(Self(millionths))
    }

    /// Whether a trace with this throw of the dice is one of them.
    fn has(self, dice: u64) -> bool {
        dice % u64::from(WHOLE) < u64::from(self.0)
    }
}

/// In percent.
impl fmt::Display for Sample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (percent, rest) = (self.0 / 10_000, self.0 % 10_000);
        match rest {
            0 => write!(f, "{percent}%"),
            _ => write!(f, "{percent}.{}%", format!("{rest:04}").trim_end_matches('0')),
        }
    }
}

/// Begins traces, and takes the spans of exchanges that are over.
#[derive(Debug)]
pub struct Traces {
    sample: Sample,
    trusted_parents: Vec<IpNet>,
    server: Server,
    /// Of exchanges.
    queue: mpsc::Sender<Vec<Span>>,
    closing: watch::Sender<bool>,
}

/// Whether the spans of a trace are kept. Its ids go on to the upstream in any case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// They are.
    Yes,
    /// They are not.
    No,
}

/// A part of an exchange that has a span of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// From presenting the payment to holding it verified.
    Verify,
    /// In it: claiming the payment in the ledger.
    Reserve,
    /// From looking for a backend to the upstream's final header.
    Upstream,
    /// Until the settlement's outcome is known; it may outlive the exchange.
    Settle,
}

/// An exchange as a part of a trace.
#[derive(Debug)]
pub struct Trace {
    joined: Joined,
    /// The caller's span.
    parent: Option<SpanId>,
    kept: Kept,
    /// When it began.
    began: Instant,
    verify: Leg,
    reserve: Leg,
    upstream: Leg,
    settle: Leg,
    /// When a backend was looked for first.
    asked: Option<Instant>,
    /// What the upstream answered.
    status: Option<u16>,
}

/// What all spans of an exchange have in common.
#[derive(Clone, Debug)]
struct Joined {
    trace: TraceId,
    /// The span of the exchange itself.
    server: SpanId,
    /// What other vendors say of the trace, handed on as it came.
    state: Option<HeaderValue>,
    /// A moment of the steady clock, and the nanoseconds since the epoch then.
    moment: (Instant, u64),
}

/// The span of a step, and when there was one.
#[derive(Debug)]
struct Leg {
    id: SpanId,
    taken: Option<Taken>,
}

#[derive(Clone, Copy, Debug)]
struct Taken {
    began: Instant,
    ended: Instant,
    /// The code of what ended it badly.
    failure: Option<&'static str>,
}

/// The settlement behind an answer: its exchange may be over before it is.
#[derive(Debug)]
pub struct Behind {
    joined: Joined,
    id: SpanId,
    began: Instant,
}

impl Traces {
    /// Nothing yet, and what sends it. Nothing is sent before [`Exporter::run`].
    ///
    /// # Errors
    /// See [`TracesError`].
    pub fn new(settings: &Settings) -> Result<(Self, Exporter), TracesError> {
        let (queue, spans) = mpsc::channel(QUEUE_MAX);
        let (closing, closes) = watch::channel(false);
        let exporter = Exporter::new(settings, spans, closes)?;
        let traces = Self {
            sample: settings.sample,
            trusted_parents: settings.trusted_parents.clone(),
            server: settings.server.clone(),
            queue,
            closing,
        };
        Ok((traces, exporter))
    }

    /// Goes on with the trace of a request from `peer`, or begins one. Nothing when the system has
    /// no random numbers.
    ///
    /// A caller's trace goes on under its id. Whether it is kept is a trusted parent's to say;
    /// for all others dice are thrown, of our own: ids are the caller's to choose.
    pub fn begin(
        &self,
        headers: &HeaderMap,
        peer: IpAddr,
        (began, clock): (Instant, &Clock),
    ) -> Option<Box<Trace>> {
        let [dice, high, low, server, verify, reserve, upstream, settle] = random()?;
        let context = Context::of(headers);
        let trusts = || self.trusted_parents.iter().any(|block| block.contains(&peer));
        let kept = match &context {
            Some(context) if trusts() => context.kept,
            Some(_) | None if self.sample.has(dice) => Kept::Yes,
            Some(_) | None => Kept::No,
        };
        let fresh = TraceId::of((u128::from(high) << 64) | u128::from(low));
        let now = clock.nanos().saturating_sub(nanos(began.elapsed()));
        let leg = |id| Leg { id: SpanId::of(id), taken: None };
        let (trace, parent, state) = match context {
            Some(Context { trace, parent, state, .. }) => (trace, Some(parent), state),
            None => (fresh, None, None),
        };
        Some(Box::new(Trace {
            joined: Joined { trace, server: SpanId::of(server), state, moment: (began, now) },
            parent,
            kept,
            began,
            verify: leg(verify),
            reserve: leg(reserve),
            upstream: leg(upstream),
            settle: leg(settle),
            asked: None,
            status: None,
        }))
    }

    /// Takes the spans of an exchange that is over. Never waits. How many there was no room for.
    pub(super) fn ended(&self, trace: &Trace, observed: &Observed<'_>) -> u64 {
        match trace.kept {
            Kept::Yes => self.take(span::spans(trace, observed, &self.server)),
            Kept::No => 0,
        }
    }

    /// Takes the span of a settlement behind its answer: the transaction, or the code of what
    /// ended it badly.
    pub(super) fn settled(&self, behind: &Behind, outcome: Result<&str, &'static str>) -> u64 {
        self.take(vec![span::behind(behind, clock::steady(), outcome)])
    }

    fn take(&self, spans: Vec<Span>) -> u64 {
        let count = u64::try_from(spans.len()).unwrap_or(u64::MAX);
        if self.queue.try_send(spans).is_ok() { 0 } else { count }
    }

    /// Sends what is left without waiting for more, and then ends the exporter.
    pub(super) fn close(&self) {
        self.closing.send_replace(true);
    }
}

impl Trace {
    /// Its id, which is in `traceparent`, and in the log.
    pub fn id(&self) -> impl fmt::Display + use<> {
        self.joined.trace
    }

    /// The `traceparent` that the upstream gets.
    pub fn for_upstream(&self) -> HeaderValue {
        context::parent_of(self.joined.trace, self.upstream.id, self.kept)
    }

    /// The `traceparent` of a facilitator that is asked to verify, and of one that is asked to
    /// settle.
    pub fn for_facilitators(&self) -> [HeaderValue; 2] {
        let parent = |leg: &Leg| context::parent_of(self.joined.trace, leg.id, self.kept);
        [parent(&self.verify), parent(&self.settle)]
    }

    /// The `tracestate` that the upstream gets.
    pub fn state(&self) -> Option<&HeaderValue> {
        self.joined.state.as_ref()
    }

    /// Whether its steps are wanted.
    pub fn is_kept(&self) -> bool {
        self.kept == Kept::Yes
    }

    /// A backend is looked for.
    pub fn asks(&mut self, now: Instant) {
        self.asked.get_or_insert(now);
    }

    /// The upstream has answered with this status, or not.
    pub fn answered(&mut self, now: Instant, answer: Result<u16, &'static str>) {
        let Some(asked) = self.asked else { return };
        // What breaks behind its header is not its answer's end any more.
        if self.upstream.taken.is_none() {
            self.status = answer.ok();
            self.took(Step::Upstream, (asked, now), answer.err());
        }
    }

    /// A step is over, and whether badly.
    pub fn took(
        &mut self,
        step: Step,
        (began, ended): (Instant, Instant),
        failure: Option<&'static str>,
    ) {
        let leg = match step {
            Step::Verify => &mut self.verify,
            Step::Reserve => &mut self.reserve,
            Step::Upstream => &mut self.upstream,
            Step::Settle => &mut self.settle,
        };
        leg.taken = Some(Taken { began, ended, failure });
    }

    /// A settlement begins that the answer does not wait for; nothing where nobody wants to know.
    pub fn behind(&self, now: Instant) -> Option<Behind> {
        let behind = || Behind { joined: self.joined.clone(), id: self.settle.id, began: now };
        self.is_kept().then(behind)
    }
}

impl Joined {
    /// In nanoseconds since the epoch.
    fn at(&self, then: Instant) -> u64 {
        let (moment, at) = self.moment;
        at.saturating_add(nanos(then.saturating_duration_since(moment)))
    }
}

fn nanos(length: Duration) -> u64 {
    u64::try_from(length.as_nanos()).unwrap_or(u64::MAX)
}

/// So many words at once: each question to the system costs more than the words.
fn random<const WORDS: usize>() -> Option<[u64; WORDS]> {
    let mut bytes = [[0; 8]; WORDS];
    getrandom::fill(bytes.as_flattened_mut()).ok()?;
    Some(bytes.map(u64::from_ne_bytes))
}

/// A whole, in millionths.
const WHOLE: u32 = 1_000_000;

/// Exchanges whose spans wait for the collector.
pub const QUEUE_MAX: usize = 2_048;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::UnixMillis;

    fn traces(sample: Sample) -> (Traces, Exporter) {
        // A test that came before has done it.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let server = Server { scheme: "http".into(), host: "127.0.0.1".into(), port: 8402 };
        let settings = Settings {
            url: "http://127.0.0.1:1/v1/traces".into(),
            headers: Vec::new(),
            sample,
            trusted_parents: Vec::new(),
            service: "tollgate".into(),
            server,
        };
        Traces::new(&settings).unwrap()
    }

    #[test]
    fn a_sample_is_a_part_of_all() {
        for (millionths, text) in [
            (0, "0%"),
            (1, "0.0001%"),
            (5_000, "0.5%"),
            (100_000, "10%"),
            (333_333, "33.3333%"),
            (1_000_000, "100%"),
        ] {
            let sample = Sample::of(millionths).unwrap();
            assert_eq!(sample.to_string(), text);
            let had = (0..u64::from(WHOLE)).filter(|dice| sample.has(*dice)).count();
            assert_eq!(had, usize::try_from(millionths).unwrap());
        }
        assert_eq!(Sample::of(1_000_001), None);
    }

    #[test]
    fn traces_have_numbers_of_their_own_and_the_time_of_day() {
        let (traces, _exporter) = traces(Sample::ALL);
        let (clock, _) = Clock::set_to(UnixMillis::new(1_000));
        let began = clock::steady();
        let begin = || {
            let headers = HeaderMap::new();
            traces.begin(&headers, IpAddr::from([127, 0, 0, 1]), (began, &clock)).unwrap()
        };
        let (one, other) = (begin(), begin());
        assert_ne!(one.joined.trace, other.joined.trace);
        let ids = [&one, &other].map(|trace| {
            let legs = [&trace.verify, &trace.reserve, &trace.upstream, &trace.settle];
            [legs.map(|leg| leg.id).to_vec(), vec![trace.joined.server]].concat()
        });
        let ids = ids.concat();
        assert!(ids.iter().enumerate().all(|(at, id)| !ids[..at].contains(id)), "{ids:?}");
        let second = began.checked_add(Duration::from_secs(1)).unwrap();
        assert_eq!(one.joined.at(second), one.joined.at(began) + 1_000_000_000);
        assert!(one.joined.at(began) <= 1_000_000_000);
    }

    #[test]
    fn a_full_queue_takes_nothing_and_says_how_much() {
        let (traces, mut exporter) = traces(Sample::ALL);
        let two = || vec![Span::default(), Span::default()];
        for _ in 0..QUEUE_MAX {
            assert_eq!(traces.take(two()), 0);
        }
        assert_eq!(traces.take(two()), 2);
        assert!(exporter.takes_one());
        assert_eq!(traces.take(two()), 0);
        drop(exporter);
        assert_eq!(traces.take(two()), 2);
    }
}
