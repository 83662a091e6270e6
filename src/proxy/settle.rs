//! Where money moves: on the upstream's good head, or before the upstream is asked.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderValue, StatusCode, header};
use pingora::http::ResponseHeader;
use pingora::proxy::Session;

use super::count::Counted;
use super::exchange::{Exchange, Moved};
use super::{Gateway, Side, answer};
use crate::clock;
use crate::facilitator::Away;
use crate::ledger::answers::{Copying, Giver};
use crate::payment::{Prepaid, Receipt, Risk, Settled, Unprepaid, Unsettled, Verified};
use crate::refusal::Refusal;
use crate::route::Route;

impl Gateway {
    /// Does with money what this head of the final answer is worth, and tells its payer.
    ///
    /// # Errors
    /// The refusal to answer with stands in `exchange`.
    ///
    /// # Cancel safety
    /// A settlement that has begun goes on.
    pub(super) async fn conclude(
        &self,
        session: &mut Session,
        exchange: &mut Exchange,
        head: &mut ResponseHeader,
    ) -> pingora::Result<()> {
        if let Some(prepaid) = exchange.take_prepaid() {
            self.serve(session, exchange, prepaid, head).await?;
            return timed(head, exchange);
        }
        let Some(verified) = exchange.take_held() else { return passes(exchange, head) };
        if !answered_well(head) {
            // Dropped: released. The upstream's own answer goes to the client as it is.
            drop(verified);
            head.insert_header(header::CACHE_CONTROL, "no-store")?;
            return answer::allow_browsers(head);
        }
        self.settle(session, exchange, verified, head).await?;
        timed(head, exchange)
    }

    /// Settles a held payment and puts the receipt on the answer.
    async fn settle(
        &self,
        session: &mut Session,
        exchange: &mut Exchange,
        verified: Box<Verified>,
        head: &mut ResponseHeader,
    ) -> pingora::Result<()> {
        let began = clock::steady();
        let copying = self.copying(exchange, head, |max| self.payments.copy(&verified, max));
        if let Some(risk) = self.payments.risk(&verified) {
            self.settle_behind(exchange, *verified, risk);
            keeps(exchange, session, head, copying);
            // Nothing is said of a settlement that is not known.
            return put_receipts(head, Vec::new());
        }
        let settled = self.payments.settle(*verified).await;
        exchange.settling(began, settled.as_ref().err().map(Unsettled::code));
        match settled {
            Ok(settled) => {
                exchange.settled(&settled);
                keeps(exchange, session, head, copying);
                Counted::of(exchange).earned().await;
                put_receipts(head, settled.receipts().unwrap_or_default())
            }
            Err(unsettled) => {
                session.set_keepalive(None);
                let refusal = self.unsettled(exchange, &unsettled).await;
                Err(self.stop(exchange, refusal))
            }
        }
    }

    /// Lets the answer go, and settles its payment behind it.
    fn settle_behind(&self, exchange: &mut Exchange, verified: Verified, risk: Risk) {
        exchange.at_risk();
        let settling = self.payments.settle_behind(verified, risk);
        self.tell_behind(exchange, settling);
    }

    /// Waits, in a task of its own, for a settlement behind an answer, and counts what it came to.
    pub(super) fn tell_behind(
        &self,
        exchange: &Exchange,
        settling: impl Future<Output = Result<Settled, Unsettled>> + Send + 'static,
    ) {
        let Some((paid, route)) = exchange.paid.clone().zip(exchange.route.clone()) else {
            // Without a payment there is no settlement.
            return;
        };
        let (metrics, counted) = (Arc::clone(&self.metrics), Counted::of(exchange));
        let behind = exchange.begins().and_then(|now| exchange.trace.as_ref()?.behind(now));
        let id = exchange.id;
        tokio::spawn(async move {
            let (route, network, amount) = (&*route.name, paid.network.as_str(), paid.amount);
            let settled = settling.await;
            let outcome = settled.as_ref().map(Settled::transaction);
            metrics.settled_behind(behind.as_ref(), outcome.map_err(Unsettled::code));
            match settled {
                Ok(_) => {
                    metrics.settled(route, network, amount);
                    counted.earned().await;
                }
                // Recovery finds out; the metric of unknown payments shows it.
                Err(Unsettled::Unknown { fault, .. }) => metrics.fault(fault.side()),
                Err(unsettled @ (Unsettled::Rejected(_) | Unsettled::NotSent(_))) => {
                    if let Unsettled::Rejected(_) = unsettled {
                        counted.was_refused().await;
                    }
                    metrics.lost(route, network, amount);
                    tracing::warn!(
                        exchange = %id, payer = %paid.payer, %amount, network, route,
                        "an answer was given and its payment did not settle"
                    );
                }
            }
        });
    }

    /// The copy of the answer that begins with this head, where the route keeps one.
    pub(super) fn copying(
        &self,
        exchange: &Exchange,
        head: &ResponseHeader,
        copy: impl FnOnce(usize) -> Copying,
    ) -> Option<Copying> {
        exchange.keeping.as_ref()?;
        let bytes_max = exchange.route.as_ref()?.keep_bytes_max?;
        can_be_kept(head).then(|| copy(bytes_max))
    }

    /// Settles a verified payment before the upstream is asked.
    ///
    /// # Errors
    /// The refusal to answer with.
    pub(super) async fn prepay(
        &self,
        exchange: &mut Exchange,
        route: &Route,
        verified: Verified,
    ) -> Result<(), Refusal> {
        let began = clock::steady();
        let prepaid = self.payments.prepay(verified, self.time_for(route)).await;
        exchange.settling(began, prepaid.as_ref().err().map(Unprepaid::code));
        match prepaid {
            Ok(prepaid) => {
                Counted::of(exchange).earned().await;
                exchange.prepaid(prepaid, Moved::Now);
                Ok(())
            }
            Err(Unprepaid::Fault(fault)) => {
                self.broke(exchange, &fault);
                Err(Refusal::LedgerUnavailable)
            }
            Err(Unprepaid::Unsettled(unsettled)) => Err(self.unsettled(exchange, &unsettled).await),
        }
    }

    /// Gives the answer that was paid for before, if this head is one; else it is still owed.
    async fn serve(
        &self,
        session: &mut Session,
        exchange: &mut Exchange,
        prepaid: Prepaid,
        head: &mut ResponseHeader,
    ) -> pingora::Result<()> {
        let mut prepaid = prepaid;
        let receipts = std::mem::take(&mut prepaid.receipts);
        if head.status.is_server_error() || (head.status.is_success() && !answered_well(head)) {
            session.set_keepalive(None);
            let because = "the service behind this gateway failed";
            return Err(self.stop(exchange, not_served(prepaid, because)));
        }
        if answered_well(head) {
            let copying = self.copying(exchange, head, |bytes_max| prepaid.copy(bytes_max));
            let transaction = prepaid.transaction.clone();
            match prepaid.served().await {
                Ok(Giver::You) => {}
                Ok(Giver::Another) => {
                    session.set_keepalive(None);
                    return Err(self.stop(exchange, Refusal::AnswerUnderWay { transaction }));
                }
                Err(fault) => self.broke(exchange, &fault),
            }
            keeps(exchange, session, head, copying);
        }
        put_receipts(head, receipts)
    }

    /// How long an exchange of this route may be about to give an answer that is owed. To a proxy
    /// that asks once, the answer is one word.
    pub(super) fn time_for(&self, route: &Route) -> Duration {
        match self.settings.side {
            Side::Asker(_) => route.answer_timeout,
            Side::Clients | Side::Processor => route.answer_timeout.saturating_add(OWED_MARGIN),
        }
    }

    pub(super) async fn unsettled(
        &self,
        exchange: &mut Exchange,
        unsettled: &Unsettled,
    ) -> Refusal {
        match unsettled {
            Unsettled::NotSent(Away { fault, .. }) | Unsettled::Unknown { fault, .. } => {
                self.broke(exchange, fault);
            }
            // Verified, served and not paid.
            Unsettled::Rejected(_) => {
                let counted = Counted::of(exchange);
                counted.was_refused().await;
            }
        }
        unsettled.refusal()
    }
}

/// What a payer is told whose answer is still owed.
pub(super) fn not_served(prepaid: Prepaid, because: &str) -> Refusal {
    Refusal::PaidNotServed { transaction: prepaid.transaction.clone(), because: because.into() }
}

/// The copy of an answer begins with its head, where one is made.
pub(super) fn keeps(
    exchange: &mut Exchange,
    session: &Session,
    head: &ResponseHeader,
    copying: Option<Copying>,
) {
    if let Some((keeping, copying)) = exchange.keeping.as_mut().zip(copying) {
        keeping.begins(session, head, copying);
    }
}

/// Lets an answer go for nothing. One that others pay for is for whoever asked, and no cache's.
fn passes(exchange: &Exchange, head: &mut ResponseHeader) -> pingora::Result<()> {
    match exchange.bypass {
        Some(_) => head.insert_header(header::CACHE_CONTROL, "no-store"),
        // Pages that can read the 402 can read this.
        None if exchange.is_given() => put_receipts(head, Vec::new()),
        None => Ok(()),
    }
}

/// Tells a payer what took how long.
pub(super) fn timed(head: &mut ResponseHeader, exchange: &Exchange) -> pingora::Result<()> {
    head.append_header("server-timing", exchange.stages.server_timing()).map(drop)
}

pub(super) fn put_receipts(
    head: &mut ResponseHeader,
    receipts: Vec<Receipt>,
) -> pingora::Result<()> {
    for receipt in receipts {
        head.insert_header(receipt.name, receipt.value)?;
    }
    head.insert_header(header::CACHE_CONTROL, "no-store")?;
    answer::allow_browsers(head)
}

/// Whether an upstream's final head is worth the money: 2xx, or an upgrade that it accepted, and
/// no gRPC error that hides behind a 200.
pub(super) fn answered_well(head: &ResponseHeader) -> bool {
    let good = head.status.is_success() || head.status == StatusCode::SWITCHING_PROTOCOLS;
    good && head.headers.get("grpc-status").is_none_or(|status| status == "0")
}

/// Whether an answer that begins so could be given again: what follows an upgrade is none, and one
/// of gRPC is nothing without its trailers, which no copy has.
fn can_be_kept(head: &ResponseHeader) -> bool {
    let kind = head.headers.get(header::CONTENT_TYPE).map(HeaderValue::as_bytes);
    let grpc = kind.is_some_and(|kind| kind.starts_with(b"application/grpc"));
    head.status != StatusCode::SWITCHING_PROTOCOLS && !grpc
}

/// What an upload may take beside the upstream's own time. Who comes back earlier, while somebody
/// is still at it, hears that the answer is under way.
const OWED_MARGIN: Duration = Duration::from_secs(600);
