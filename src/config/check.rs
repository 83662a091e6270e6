//! `[check]` and `mode = "check"`: routes that another proxy forwards, and asks about before.

use std::net::SocketAddr;
use std::ops::Range;
use std::time::Duration;

use toml::Spanned;

use crate::route::upstream::Upstream;
use crate::route::{AskedBy, Charge, Contract, Route, SettleMoment, When};

use super::answers::Answers;
use super::file::{FileCheck, FileRoute};
use super::mistake::Mistake;
use super::reader::{Kind, Reader};
use super::server::Server;
use super::text::Written;

/// Where a proxy asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Check {
    /// For proxies, and nobody else.
    pub listen: SocketAddr,
    /// Which kind of proxy.
    pub asked_by: AskedBy,
}

/// Who forwards what a route lets through.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Mode {
    /// The gateway.
    #[default]
    Forward,
    /// A proxy that asks.
    Check,
}

/// Where requests of a route go.
pub(super) enum Behind {
    /// To this upstream.
    Upstream(Box<str>),
    /// Back to the proxy that asks.
    Asker(AskedBy),
}

impl Behind {
    /// Reads who forwards, and takes off what belongs to the other.
    pub(super) fn of(
        typed: &mut FileRoute,
        place: Range<usize>,
        asked_by: Option<AskedBy>,
        reader: &mut Reader<'_>,
    ) -> Option<Self> {
        let span = typed.mode.as_ref().map(|mode| mode.span.clone());
        let mode = typed.mode.take().map_or(Some(Mode::Forward), |mode| reader.take(mode));
        match mode? {
            Mode::Check => {
                if asked_by.is_none() {
                    reader.wrong(span.unwrap_or_default(), Mistake::NoCheck);
                }
                let by = asked_by.unwrap_or(AskedBy::ExtProc);
                not_forwarded(typed, by, reader);
                Some(Self::Asker(by))
            }
            Mode::Forward => match typed.upstream.take() {
                Some(upstream) => reader.refer(Kind::Upstream, upstream).map(Self::Upstream),
                None => {
                    reader.wrong(place, Mistake::missing_key("upstream"));
                    None
                }
            },
        }
    }

    /// The upstream's name.
    pub(super) fn upstream(&self) -> Option<&str> {
        match self {
            Self::Upstream(name) => Some(name),
            Self::Asker(_) => None,
        }
    }

    /// The same, for good.
    pub(super) fn into_upstream(self) -> Option<Box<str>> {
        match self {
            Self::Upstream(name) => Some(name),
            Self::Asker(_) => None,
        }
    }

    /// How long an answer may take where the route does not say.
    pub(super) fn answer_timeout(&self, upstream: Option<&Upstream>) -> Option<Duration> {
        match self {
            Self::Upstream(_) => upstream.map(|upstream| upstream.answer_timeout),
            Self::Asker(_) => Some(ANSWER_TIMEOUT),
        }
    }

    /// What is kept of answers: nothing that is not seen.
    pub(super) fn keeps(&self, answers: Answers) -> Answers {
        match self {
            Self::Upstream(_) => answers,
            Self::Asker(_) => Answers { bytes_max: None, ..answers },
        }
    }

    /// When money moves: whoever only asks does not come back to say how it went.
    pub(super) fn settles(&self, typed: Option<SettleMoment>) -> SettleMoment {
        match self {
            Self::Asker(AskedBy::Once(_)) => SettleMoment::BeforeUpstream,
            Self::Asker(AskedBy::ExtProc) | Self::Upstream(_) => typed.unwrap_or_default(),
        }
    }
}

/// Reads `[check]`. What it says is worth nothing where it is not known who may ask.
pub(super) fn check(
    typed: Option<FileCheck>,
    server: &Server,
    reader: &mut Reader<'_>,
) -> Option<Check> {
    let FileCheck { listen, asked_by } = typed?;
    let span = listen.span.clone();
    let (listen, asked_by) = (reader.take(listen), reader.take(asked_by));
    let (listen, asked_by) = (listen?, asked_by?);
    let taken = [server.listen, server.admin].contains(&listen) && listen.port() != 0;
    if taken {
        reader.wrong(span.clone(), Mistake::CheckAddress);
    }
    if server.trusted_proxies.is_empty() {
        reader.wrong(span, Mistake::NobodyTrusted);
    }
    Some(Check { listen, asked_by })
}

/// Which proxy asks. A section that is broken takes every key of routes, so that those are not told
/// of as mistakes too.
pub(super) fn asked_by(check: Option<Check>, section: Option<&Range<usize>>) -> Option<AskedBy> {
    check.map(|check| check.asked_by).or(section.map(|_| AskedBy::ExtProc))
}

/// Takes off a route what means nothing where somebody else forwards.
fn not_forwarded(typed: &mut FileRoute, by: AskedBy, reader: &mut Reader<'_>) {
    let never = [
        ("upstream", typed.upstream.take().map(|text| text.span)),
        ("body", typed.body.take().map(|body| body.span())),
        ("keep_answer", typed.keep_answer.take().map(|text| text.span)),
        ("payment_identifier", typed.payment_identifier.take().map(|text| text.span)),
    ];
    let of_answers = (by != AskedBy::ExtProc).then(|| {
        [
            ("timeout", typed.timeout.take().map(|text| text.span)),
            ("settle", typed.settle.take().map(|text| text.span)),
            ("risk", typed.risk.take().map(|text| text.span)),
        ]
    });
    for (key, span) in never.into_iter().chain(of_answers.into_iter().flatten()) {
        if let Some(span) = span {
            let beside = "beside `mode = \"check\"`";
            reader.wrong(span, Mistake::Meaningless { key, beside });
        }
    }
}

/// Where a price stands, what looks at a request, and what lets a wallet in.
pub(super) struct Places {
    pub(super) price: Range<usize>,
    pub(super) rules: Vec<Range<usize>>,
    pub(super) openapi: Option<Range<usize>>,
    pub(super) sign_in: Option<Range<usize>>,
}

impl Places {
    pub(super) fn of(typed: &FileRoute) -> Self {
        Self {
            price: typed.price.span.clone(),
            rules: typed.price_rules.iter().map(Spanned::span).collect(),
            openapi: typed.openapi.as_ref().map(Spanned::span),
            sign_in: typed.sign_in.as_ref().map(|text| text.span.clone()),
        }
    }
}

/// A proxy that asks sends no body, and nobody here sees the answer.
pub(super) fn without_body(route: &Route, places: Places, reader: &mut Reader<'_>) {
    if route.upstream.is_some() {
        return;
    }
    let (charge, contract) = (&route.charge, route.contract.as_deref());
    if charge.is_by_usage() {
        reader.wrong(places.price, Mistake::AnswerNotSeen);
    }
    if let Charge::ByRequest(tariff) = charge {
        for (rule, span) in tariff.rules.iter().zip(places.rules) {
            if matches!(rule.when, When::Body { .. }) {
                reader.wrong(span, Mistake::BodyNotSent);
            }
        }
    }
    if let Some(span) = places.openapi.filter(|_| contract.is_some_and(Contract::reads_body)) {
        reader.wrong(span, Mistake::BodyNotSent);
    }
}

impl Written for Mode {
    const EXPECTED: &'static str = "\"forward\" or \"check\"";

    fn read(text: &str) -> Result<Self, Mistake> {
        match text {
            "forward" => Ok(Self::Forward),
            "check" => Ok(Self::Check),
            _ => Err(Mistake::not("who forwards", text, Self::EXPECTED)),
        }
    }
}

impl Written for AskedBy {
    const EXPECTED: &'static str =
        "\"nginx\", \"traefik\", \"caddy\", \"envoy\" or \"envoy-ext-proc\"";

    fn read(text: &str) -> Result<Self, Mistake> {
        let names = Self::ALL.into_iter().map(Self::name);
        Self::named(text).ok_or_else(|| Mistake::unknown_name("kind of proxy", text, names))
    }
}

/// What is left of a payment's time when it is taken: the usual minute, so that clients sign for as
/// long as anywhere else. No upstream is waited for.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);
