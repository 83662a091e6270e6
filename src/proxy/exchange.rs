//! One request with its answer and its payment, from `new_ctx` to `logging`.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use super::Snapshot;
use super::answer::Asked;
use super::backends::Tries;
use super::inspect::Reader;
use super::keeping::Keeping;
use super::upstream::Target;
use crate::clock::{self, UnixMillis};
use crate::discovery::Paywall;
use crate::ledger::{Entry, ExchangeId};
use crate::observe::{Stages, Trace};
use crate::payment::{Prepaid, Presented, Settled, SignedIn, Verified};
use crate::refusal::Refusal;
use crate::route::{Route, Tier, Usage, Verb};
use crate::x402::{Account, AtomicAmount, Network};

/// What is known of one exchange so far.
#[derive(Debug)]
pub struct Exchange {
    /// Its id.
    pub id: ExchangeId,
    /// The trace that it is a part of, where there are any.
    pub trace: Option<Box<Trace>>,
    /// What was served when it began.
    pub now: Arc<Snapshot>,
    /// When it began.
    pub began: UnixMillis,
    /// The same moment on the steady clock.
    pub started: Instant,
    /// Who asks.
    pub client: Option<IpAddr>,
    /// What a proxy asks about; nothing: no proxy asks.
    pub original: Option<AskedAbout>,
    /// The route that was found.
    pub route: Option<Arc<Route>>,
    /// As whom it need not be paid for.
    pub bypass: Option<Arc<str>>,
    /// Which of its terms the request is for.
    pub tier: Tier,
    /// The payment that was proven.
    pub paid: Option<Box<Paid>>,
    /// How long its stages took.
    pub stages: Stages,
    /// What was said no to, once something was.
    pub refusal: Option<Refusal>,
    /// What broke, for the log.
    pub fault: Option<Box<str>>,
    /// Body bytes the client has sent on their way to the upstream.
    pub body_bytes: u64,
    /// The backends that it was handed to.
    pub tries: Tries,
    /// The copy of its answer, if one is kept.
    pub keeping: Option<Box<Keeping>>,
    /// Whether its money has moved in it.
    pub moved: Moved,
    stage: Stage,
}

/// A request that a proxy asks about, for the log.
#[derive(Clone, Copy, Debug)]
pub struct AskedAbout {
    /// Its method, if it is one that is forwarded.
    pub verb: Option<Verb>,
    /// The status of what its client gets, 0 while there is none; nothing: of what the proxy gets.
    pub status: Option<u16>,
}

/// Who pays how much, for headers and the log.
#[derive(Clone, Debug)]
pub struct Paid {
    /// Who pays.
    pub payer: Account,
    /// CAIP-2 network.
    pub network: Network,
    /// What is paid in.
    pub asset: Account,
    /// Atomic units.
    pub amount: AtomicAmount,
    /// Hash of the transfer, once there is one.
    pub transaction: Option<Box<str>>,
}

/// Whether money moves in an exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moved {
    /// It does.
    Now,
    /// It does not, or it has moved in one of before.
    NotNow,
}

/// How far the payment has come. Private: a stage moves only by being consumed, so that none is
/// overwritten while it holds a payment.
#[derive(Debug)]
enum Stage {
    /// Nothing is held.
    Unpaid,
    /// Nothing will be: so much is free for everybody.
    FreeFirst,
    /// Nothing will be: it was paid for a while ago.
    SignedIn(Box<SignedIn>),
    /// Held and verified; dropping it releases.
    Held(Box<Verified>),
    /// The money moved, and the answer is still to come; dropping it leaves it owed.
    Prepaid(Box<Prepaid>),
    /// It was released, or its settlement failed.
    Over,
    /// The money moved.
    Settled,
    /// The answer goes out before the money has moved.
    AtRisk,
    /// It had moved before, and the answer that it bought then is given again.
    Again,
}

/// The word for an exchange that was not refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Served {
    /// On a free route, or answered by the gateway itself.
    Free,
    /// On a priced route, to somebody who need not pay.
    Bypass,
    /// On a priced route, as one of the requests that are free for everybody.
    FreeFirst,
    /// On a priced route, to a wallet that has paid for it a while ago.
    SignedIn,
    /// For money.
    Paid,
    /// For money that was still to move.
    AtRisk,
    /// The payment was let go: the upstream did not answer well, or the client left.
    Released,
    /// With the answer that the payment had bought before.
    Again,
}

impl Exchange {
    /// An exchange that begins now.
    pub fn begin(id: ExchangeId, began: UnixMillis, now: Arc<Snapshot>) -> Self {
        Self {
            id,
            trace: None,
            now,
            began,
            started: clock::steady(),
            client: None,
            original: None,
            route: None,
            bypass: None,
            tier: Tier::default(),
            paid: None,
            stages: Stages::default(),
            refusal: None,
            fault: None,
            body_bytes: 0,
            tries: Tries::default(),
            keeping: None,
            moved: Moved::NotNow,
            stage: Stage::Unpaid,
        }
    }

    /// The upstream of its route.
    pub fn target(&self) -> Option<&Arc<Target>> {
        self.now.upstreams.get(self.route.as_ref()?.upstream.as_ref()?)
    }

    /// Whether its request can be handed on now, to an upstream or back to the proxy that asks.
    pub fn can_be_served(&self) -> bool {
        self.is_asked() || self.target().is_some_and(|target| target.is_up())
    }

    /// Whether a proxy asks about its route, and forwards it then.
    pub fn is_asked(&self) -> bool {
        self.route.as_ref().is_some_and(|route| route.upstream.is_none())
    }

    /// What whoever serves it is told of it.
    pub fn told(&self) -> impl Iterator<Item = (&'static str, String)> {
        let id = [("X-Tollgate-Exchange", self.id.to_string())];
        let paid = self.paid.as_deref().map(|paid| {
            [
                ("X-Tollgate-Payer", paid.payer.to_string()),
                ("X-Tollgate-Amount", paid.amount.to_string()),
                ("X-Tollgate-Network", paid.network.to_string()),
            ]
        });
        let free = self.is_free_first().then(|| ("X-Tollgate-Free", "first".to_owned()));
        let signed_in = self.signed_in().map(|SignedIn { payer, network }| {
            [
                ("X-Tollgate-Payer", payer.to_string()),
                ("X-Tollgate-Network", network.to_string()),
                ("X-Tollgate-Free", "signed-in".to_owned()),
            ]
        });
        let paid = paid.into_iter().flatten();
        id.into_iter().chain(paid).chain(free).chain(signed_in.into_iter().flatten())
    }

    /// What a refusal needs to know of it.
    pub(super) fn asked(&self, reader: Reader) -> Asked<'_> {
        let route = self.route.as_deref();
        let terms = route.and_then(|route| route.charge.terms(self.tier));
        let reader = match self.now.discovery.paywall() {
            Paywall::Page => reader,
            Paywall::Off => Reader::Program,
        };
        let shape = route.map_or(self.now.refusals, |route| route.refusals);
        Asked { terms, reader, shape, exchange: self.id, began: self.began }
    }

    /// Keeps a verified payment until the upstream has answered.
    pub fn hold(&mut self, verified: Verified) {
        self.stage = Stage::Held(Box::new(verified));
    }

    /// The held payment, if there is one; it is the caller's to settle or to let go.
    pub fn take_held(&mut self) -> Option<Box<Verified>> {
        match std::mem::replace(&mut self.stage, Stage::Over) {
            Stage::Held(verified) => Some(verified),
            other => {
                self.stage = other;
                None
            }
        }
    }

    /// The held payment, if its answer says what it costs, and how; it is the caller's to settle or
    /// to let go.
    pub fn take_metered(&mut self) -> Option<(Verified, Arc<Usage>)> {
        let Stage::Held(verified) = &self.stage else { return None };
        let usage = Arc::clone(verified.usage()?);
        self.take_held().map(|verified| (*verified, usage))
    }

    /// So much was used of what was verified.
    pub fn used(&mut self, amount: AtomicAmount) {
        if let Some(paid) = &mut self.paid {
            paid.amount = amount;
        }
    }

    /// The answer went out, and there is nothing to pay for it.
    pub fn let_go(&mut self) {
        self.stage = Stage::Over;
    }

    /// Keeps what was settled before its answer. `moved` says whether just now.
    pub fn prepaid(&mut self, prepaid: Prepaid, moved: Moved) {
        if let Some(paid) = &mut self.paid {
            paid.transaction = Some(prepaid.transaction.clone());
        }
        self.moved = moved;
        self.stage = Stage::Prepaid(Box::new(prepaid));
    }

    /// What was settled before its answer, if it was; the answer is the caller's to give.
    pub fn take_prepaid(&mut self) -> Option<Prepaid> {
        match std::mem::replace(&mut self.stage, Stage::Settled) {
            Stage::Prepaid(prepaid) => Some(*prepaid),
            other => {
                self.stage = other;
                None
            }
        }
    }

    /// It is one of those that are free for everybody. Nothing is held then.
    pub fn give_free(&mut self) {
        self.stage = Stage::FreeFirst;
    }

    /// Whether it is.
    fn is_free_first(&self) -> bool {
        matches!(self.stage, Stage::FreeFirst)
    }

    /// It was paid for a while ago. Nothing is held then.
    pub fn sign_in(&mut self, signed_in: SignedIn) {
        self.stage = Stage::SignedIn(Box::new(signed_in));
    }

    /// Whether nobody pays for it although it has a price: it is free at first, or was paid for a
    /// while ago.
    pub fn is_given(&self) -> bool {
        matches!(self.stage, Stage::FreeFirst | Stage::SignedIn(_))
    }

    /// The wallet that has paid for it a while ago, if one has.
    pub fn signed_in(&self) -> Option<&SignedIn> {
        let Stage::SignedIn(signed_in) = &self.stage else { return None };
        Some(signed_in)
    }

    /// Whether a payment is held.
    pub fn holds(&self) -> bool {
        matches!(self.stage, Stage::Held(_))
    }

    /// The money has moved.
    pub fn settled(&mut self, settled: &Settled) {
        self.stage = Stage::Settled;
        self.moved = Moved::Now;
        if let Some(paid) = &mut self.paid {
            paid.transaction = Some(settled.transaction().into());
        }
    }

    /// The answer goes out, and the money moves behind it.
    pub fn at_risk(&mut self) {
        self.stage = Stage::AtRisk;
    }

    /// The answer of before is given again.
    pub fn again(&mut self) {
        self.stage = Stage::Again;
    }

    /// Whether the money has moved, or is about to whatever becomes of the exchange.
    pub fn is_settled(&self) -> bool {
        matches!(self.stage, Stage::Settled | Stage::AtRisk | Stage::Prepaid(_))
    }

    /// What the exchange came to, where it was not refused.
    pub fn served(&self) -> Served {
        match self.stage {
            Stage::Unpaid if self.bypass.is_some() => Served::Bypass,
            Stage::Unpaid => Served::Free,
            Stage::FreeFirst => Served::FreeFirst,
            Stage::SignedIn(_) => Served::SignedIn,
            Stage::Held(_) | Stage::Over => Served::Released,
            Stage::Settled | Stage::Prepaid(_) => Served::Paid,
            Stage::AtRisk => Served::AtRisk,
            Stage::Again => Served::Again,
        }
    }
}

impl Served {
    /// The word in the log and the metric label.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Free => "free",
            Self::Bypass => "bypass",
            Self::FreeFirst => "free_first",
            Self::SignedIn => "signed_in",
            Self::Paid => "paid",
            Self::AtRisk => "at_risk",
            Self::Released => "released",
            Self::Again => "again",
        }
    }
}

impl Paid {
    /// What the ledger says of a payment.
    pub fn before(entry: &Entry) -> Self {
        Self {
            payer: entry.identity.payer,
            network: entry.identity.network.clone(),
            asset: entry.asset,
            amount: entry.amount,
            transaction: entry.transaction.clone(),
        }
    }

    /// What a proven payment says.
    pub fn of(presented: &Presented) -> Self {
        let requirements = &presented.offer().requirements;
        Self {
            payer: presented.payer(),
            network: requirements.network.clone(),
            asset: requirements.asset,
            amount: requirements.amount,
            transaction: None,
        }
    }
}

// pingora's future of a connection, idle ones too, holds it three times. 100 bytes more take that
// over a size of the allocator's, which is 2 KiB for each connection.
const _: () = assert!(size_of::<Exchange>() <= 296);
