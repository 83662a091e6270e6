//! Exchanges whose answer says at its end what it costs: held back where it is short, so that it
//! goes out settled and with its receipt; else passed on as it comes, and settled behind.

mod wire;

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderName, Method, Version, header};
use pingora::http::ResponseHeader;
use pingora::proxy::Session;
use pingora::{Error, ErrorType};

use self::wire::Wire;
use super::count::Counted;
use super::exchange::Exchange;
use super::settle::{answered_well, keeps, put_receipts, timed};
use super::{CLIENT_LEFT, Gateway, answer, inspect};
use crate::clock;
use crate::payment::{Risk, Taken, Unsettled, Verified};
use crate::refusal::Refusal;
use crate::route::Usage;
use crate::route::usage::{Form, Meter, Overridden, Unread};

/// A good answer on its way, and the payment that is to be taken for it.
struct Passing {
    wire: Wire,
    meter: Meter,
    overridden: Overridden,
    verified: Verified,
    /// By then it must have ended.
    until: Instant,
}

/// How an answer has ended that was passed on.
enum Ended {
    Whole,
    /// Its client has left, and it was not read to its end.
    Left,
    BrokeOff(Refusal),
}

impl Gateway {
    /// Carries out an exchange that is priced by usage.
    ///
    /// # Errors
    /// The answer broke off after its head; whoever reads it has to learn that.
    ///
    /// # Cancel safety
    /// As long as it is not known what was used, the payment is released. A settlement goes on.
    pub(super) async fn metered(
        &self,
        session: &mut Session,
        exchange: &mut Exchange,
        (verified, usage): (Verified, Arc<Usage>),
    ) -> pingora::Result<()> {
        let mut wire = match self.ask(session, exchange).await {
            Ok(wire) => wire,
            Err(refusal) => {
                drop(verified);
                return self.refuse_and_close(session, exchange, refusal).await;
            }
        };
        let text = |name: &HeaderName| wire.head.headers.get(name).map(|value| value.as_bytes());
        let (max, decimals) = (verified.amount(), verified.decimals());
        let overridden = Overridden::read(text(&SETTLEMENT_OVERRIDES), max, decimals);
        let media_type = text(&header::CONTENT_TYPE).unwrap_or_default();
        let form = Form::of(&String::from_utf8_lossy(media_type));
        answer::strip_upstream(&mut wire.head);
        let now = self.clock.now();
        let left = verified.answer_until(now).millis().saturating_sub(now.millis());
        let left = Duration::from_millis(u64::try_from(left).unwrap_or(0));
        let until = clock::steady().checked_add(left).unwrap_or_else(clock::steady);
        if !answered_well(&wire.head) {
            drop(verified);
            return self.pass(session, exchange, wire, until).await;
        }
        let meter = Meter::new(usage, form);
        let passing = Passing { wire, meter, overridden, verified, until };
        let risk = match form {
            Form::Whole => None,
            Form::Lines | Form::Events => self.payments.risk(&passing.verified),
        };
        match risk {
            Some(risk) => self.pass_metered(session, exchange, (passing, Bytes::new()), risk).await,
            // Who owes too much already gets a stream, too, when it is settled.
            None => self.hold_back(session, exchange, passing).await,
        }
    }

    /// Reads an answer to its end, settles, and gives it with its receipt. A long one is passed on
    /// at a risk, if its payer may owe it.
    async fn hold_back(
        &self,
        session: &mut Session,
        exchange: &mut Exchange,
        mut passing: Passing,
    ) -> pingora::Result<()> {
        let mut body = Vec::new();
        loop {
            match passing.wire.next(self, exchange, passing.until).await {
                Ok(Some(piece)) => {
                    passing.meter.feed(&piece);
                    body.extend_from_slice(&piece);
                    if body.len() > HELD_BYTES_MAX {
                        let Some(risk) = self.payments.risk(&passing.verified) else {
                            drop(passing);
                            let refusal = Refusal::OthersUnsettled;
                            return self.refuse_and_close(session, exchange, refusal).await;
                        };
                        let begun = (passing, body.into());
                        return self.pass_metered(session, exchange, begun, risk).await;
                    }
                }
                Ok(None) => break,
                Err(refusal) => {
                    drop(passing);
                    return self.refuse_and_close(session, exchange, refusal).await;
                }
            }
        }
        let Passing { wire, mut meter, overridden, verified, .. } = passing;
        let (used, unread) = meter.cost(overridden, verified.amount());
        self.unread(exchange, unread);
        let began = clock::steady();
        let mut head = head_for(session, &wire.head, Some(body.len()))?;
        let copying = self.copying(exchange, &head, |max| self.payments.copy(&verified, max));
        let taken = self.payments.settle_used(verified, used).await;
        exchange.settling(began, taken.as_ref().err().map(Unsettled::code));
        let receipts = match taken {
            Ok(Taken::Some(settled)) => {
                exchange.used(settled.amount());
                exchange.settled(&settled);
                keeps(exchange, session, &head, copying);
                Counted::of(exchange).earned().await;
                settled.receipts().unwrap_or_default()
            }
            Ok(Taken::Nothing(receipts)) => {
                exchange.used(used);
                receipts
            }
            Err(unsettled) => {
                let refusal = self.unsettled(exchange, &unsettled).await;
                return self.refuse_and_close(session, exchange, refusal).await;
            }
        };
        put_receipts(&mut head, receipts)?;
        timed(&mut head, exchange)?;
        if let Some(keeping) = &mut exchange.keeping {
            keeping.received(&body, true);
        }
        answer::whole(session, head, body.into()).await
    }

    /// Passes an answer on as it comes, and settles behind it what it came to. One whose client has
    /// left is read on: what it costs stands at its end.
    async fn pass_metered(
        &self,
        session: &mut Session,
        exchange: &mut Exchange,
        (mut passing, begun): (Passing, Bytes),
        risk: Risk,
    ) -> pingora::Result<()> {
        let mut head = head_for(session, &passing.wire.head, None)?;
        let copy = |max| self.payments.copy(&passing.verified, max);
        let copying = self.copying(exchange, &head, copy);
        keeps(exchange, session, &head, copying);
        // Nothing is said of a settlement that is not known.
        put_receipts(&mut head, Vec::new())?;
        timed(&mut head, exchange)?;
        exchange.at_risk();
        let mut gone = answer::begin(session, head).await.is_err().then(clock::steady);
        let mut next = Ok(Some(begun));
        let ended = loop {
            match next {
                Ok(Some(piece)) => {
                    if let Some(keeping) = &mut exchange.keeping {
                        keeping.received(&piece, false);
                    }
                    let written = gone.is_none() && !piece.is_empty();
                    if written && session.write_response_body(Some(piece), false).await.is_err() {
                        gone = Some(clock::steady());
                    }
                }
                Ok(None) => break Ended::Whole,
                Err(refusal) => break Ended::BrokeOff(refusal),
            }
            if gone.is_some_and(|since| since.elapsed() > GONE_WAIT_MAX) {
                break Ended::Left;
            }
            next = passing.wire.next(self, exchange, passing.until).await;
            if let Ok(Some(piece)) = &next {
                passing.meter.feed(piece);
            }
        };
        if gone.is_some() {
            exchange.fault.get_or_insert_with(|| CLIENT_LEFT.into());
        }
        self.take_behind(exchange, (passing, risk), &ended);
        match ended {
            Ended::Whole => {
                if let Some(keeping) = &mut exchange.keeping {
                    keeping.received(&[], true);
                }
                match gone {
                    None => session.write_response_body(None, true).await,
                    Some(_) => Ok(()),
                }
            }
            Ended::Left => {
                exchange.keeping = None;
                Ok(())
            }
            Ended::BrokeOff(refusal) => {
                exchange.keeping = None;
                Err(Error::explain(ErrorType::ConnectionClosed, refusal.message()).into_up())
            }
        }
    }

    /// Settles behind an answer that was passed on what it has come to, if it has to anything.
    fn take_behind(
        &self,
        exchange: &mut Exchange,
        (passing, risk): (Passing, Risk),
        ended: &Ended,
    ) {
        let Passing { mut meter, overridden, verified, .. } = passing;
        let (used, unread) = match ended {
            Ended::Whole | Ended::Left => meter.cost(overridden, verified.amount()),
            Ended::BrokeOff(_) => (meter.cost_so_far(verified.amount()), None),
        };
        self.unread(exchange, unread);
        exchange.used(used);
        match self.payments.settle_used_behind((verified, risk), used) {
            Some(settling) => self.tell_behind(exchange, settling),
            None => exchange.let_go(),
        }
    }

    /// Passes an answer on for which nothing is paid.
    async fn pass(
        &self,
        session: &mut Session,
        exchange: &mut Exchange,
        mut wire: Wire,
        until: Instant,
    ) -> pingora::Result<()> {
        let mut head = head_for(session, &wire.head, None)?;
        put_receipts(&mut head, Vec::new())?;
        answer::begin(session, head).await?;
        loop {
            match wire.next(self, exchange, until).await {
                Ok(Some(piece)) => session.write_response_body(Some(piece), false).await?,
                Ok(None) => return session.write_response_body(None, true).await,
                Err(refusal) => {
                    let broken = Error::explain(ErrorType::ConnectionClosed, refusal.message());
                    return Err(broken.into_up());
                }
            }
        }
    }

    /// Counts an answer that did not say what it costs.
    fn unread(&self, exchange: &Exchange, unread: Option<Unread>) {
        let Some(unread) = unread else { return };
        let route = exchange.route.as_ref().map_or("none", |route| &route.name);
        self.metrics.unread(route, unread.name());
        let (id, reason) = (exchange.id, unread.name());
        tracing::warn!(exchange = %id, route, reason, "an answer did not say its usage");
    }

    async fn refuse_and_close(
        &self,
        session: &mut Session,
        exchange: &mut Exchange,
        refusal: Refusal,
    ) -> pingora::Result<()> {
        session.set_keepalive(None);
        self.refuse(session, exchange, refusal).await
    }
}

/// The head of an answer as its client gets it: with the length of its body where that is known.
fn head_for(
    session: &Session,
    from: &ResponseHeader,
    length: Option<usize>,
) -> pingora::Result<ResponseHeader> {
    let mut head = ResponseHeader::build(from.status, Some(from.headers.len()))?;
    for (name, value) in inspect::end_to_end(&from.headers) {
        head.append_header(name.clone(), value.clone())?;
    }
    let asked = session.req_header();
    let no_body = asked.method == Method::HEAD || matches!(from.status.as_u16(), 204 | 304);
    match length {
        _ if no_body => {}
        Some(length) => head.insert_header(header::CONTENT_LENGTH, length)?,
        None if head.headers.contains_key(header::CONTENT_LENGTH) => {}
        None if asked.version == Version::HTTP_11 => {
            head.insert_header(header::TRANSFER_ENCODING, "chunked")?;
        }
        None => {}
    }
    Ok(head)
}

/// What an upstream says that its answer costs. Source: npm `@x402/core` 2.27,
/// `SETTLEMENT_OVERRIDES_HEADER`.
static SETTLEMENT_OVERRIDES: HeaderName = HeaderName::from_static("settlement-overrides");

/// Bytes of the longest answer that is held back until it is settled.
const HELD_BYTES_MAX: usize = 1024 * 1024;

/// How long an answer is read on for a client that has gone.
const GONE_WAIT_MAX: Duration = Duration::from_secs(600);
