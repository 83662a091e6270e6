//! Exchanges that Envoy forwards and tells of while they go on (`ext_proc`): of the request, and of
//! the head of its answer. What happens to money is what happens where the gateway forwards.

mod headers;
mod messages;
mod talk;

use bytes::Bytes;
use pingora::http::ResponseHeader;
use pingora::proxy::Session;
use tokio::time::timeout;

use super::admit::Admitted;
use super::exchange::{AskedAbout, Exchange};
use super::inspect::Reader;
use super::upstream::introduce;
use super::{Gateway, answer};
use crate::clock;
use crate::refusal::Refusal;
use crate::route::Verb;

use self::headers::{head_of, instead, on, request_of};
use self::messages::{HttpHeaders, To};
use self::talk::{Broken, Code, Talk, say};

impl Gateway {
    /// Carries out an exchange that Envoy tells of.
    ///
    /// # Errors
    /// Envoy is gone before it could be answered at all.
    ///
    /// # Cancel safety
    /// As [`Gateway::admit`] and [`Gateway::conclude`].
    pub(super) async fn process(
        &self,
        session: &mut Session,
        exchange: &mut Exchange,
    ) -> pingora::Result<()> {
        if !self.is_trusted(session) {
            return self.not_trusted(session, exchange).await;
        }
        // Until a request can be read, it comes from whoever tells of it.
        exchange.client = Some(self.client(session));
        if !talk::is_call(session) {
            return self.refuse(session, exchange, Refusal::NoSuchRoute).await;
        }
        let mut talk = Talk::begin(session, self.settings.header_bytes_max).await?;
        let ended = self.converse(session, exchange, &mut talk).await;
        // Nothing more is heard of the answer: a payment that is still held is let go.
        drop(exchange.take_held());
        let (code, why) = match ended {
            Ok(()) => (Code::Ok, ""),
            Err(Broken::Gone) => (Code::Cancelled, ""),
            Err(Broken::Wrong(code, why)) => {
                exchange.refusal = Some(match code {
                    Code::DeadlineExceeded => Refusal::UpstreamTimeout,
                    _ => Refusal::RequestMalformed(why.into()),
                });
                exchange.fault = Some(why.into());
                (code, why)
            }
        };
        // Where Envoy is gone, nobody else wants to know.
        let _ = talk.end(session, code, why).await;
        Ok(())
    }

    async fn converse(
        &self,
        session: &mut Session,
        exchange: &mut Exchange,
        talk: &mut Talk,
    ) -> Result<(), Broken> {
        // Until it can be read, its client has got nothing.
        exchange.original = Some(AskedAbout { verb: None, status: Some(0) });
        let told = talk.request(session).await?;
        let ours = match self.admit_told(session, exchange, told).await {
            Ok(Admitted::Forward) => return self.let_on(session, exchange, talk).await,
            Ok(Admitted::Preflight { allow }) => {
                answer::preflight(&session.req_header().headers, &allow)?
            }
            Ok(Admitted::Page(page)) => answer::page(&session.req_header().headers, &page)?,
            // No answer is kept on this side.
            Ok(Admitted::Again(_)) => refused(session, exchange, Refusal::NoSuchRoute),
            Err(refusal) => refused(session, exchange, refusal),
        };
        answer_with(session, exchange, ours).await
    }

    /// Puts the request in the place of the one that came, and judges it as any other.
    async fn admit_told(
        &self,
        session: &mut Session,
        exchange: &mut Exchange,
        told: HttpHeaders,
    ) -> Result<Admitted, Refusal> {
        *session.req_header_mut() = request_of(told)?;
        let verb = Verb::of(&session.req_header().method);
        exchange.original = Some(AskedAbout { verb, status: Some(0) });
        self.follow(session, exchange);
        self.admit(session, exchange).await
    }

    /// Lets Envoy forward the request, and decides on the answer that it tells of.
    async fn let_on(
        &self,
        session: &mut Session,
        exchange: &mut Exchange,
        talk: &mut Talk,
    ) -> Result<(), Broken> {
        let mut request = session.req_header().clone();
        introduce(&mut request, exchange)?;
        exchange.asks();
        let asked = clock::steady();
        let onward = on(&session.req_header().headers, &request.headers);
        say(session, To::RequestHeaders(onward)).await?;
        let wait_max = exchange.route.as_ref().map(|route| self.time_for(route));
        let told = timeout(wait_max.unwrap_or_default(), talk.answer_head(session)).await;
        let told = told.map_err(|_| Broken::Wrong(Code::DeadlineExceeded, NO_ANSWER))?;
        let mut head = head_of(told?)?;
        let before = head.headers.clone();
        answer::strip_upstream(&mut head);
        exchange.answered(head.status.as_u16());
        exchange.stages.upstream = Some(asked.elapsed());
        match self.conclude(session, exchange, &mut head).await {
            Ok(()) => {
                answered(exchange, &head);
                say(session, To::ResponseHeaders(on(&before, &head.headers))).await
            }
            Err(_) => {
                let refusal = exchange.refusal.take().unwrap_or(Refusal::Internal);
                let ours = refused(session, exchange, refusal);
                answer_with(session, exchange, ours).await
            }
        }
    }
}

/// The answer to a request that is refused, which is kept for the log.
fn refused(
    session: &Session,
    exchange: &mut Exchange,
    refusal: Refusal,
) -> (ResponseHeader, Bytes) {
    exchange.broke_off(refusal.row().code);
    let reader = Reader::of(session.req_header());
    let answer = answer::refused(session, &refusal, exchange.asked(reader));
    exchange.refusal = Some(refusal);
    answer
}

/// Has the client answered with this, by us.
async fn answer_with(
    session: &mut Session,
    exchange: &mut Exchange,
    ours: (ResponseHeader, Bytes),
) -> Result<(), Broken> {
    answered(exchange, &ours.0);
    say(session, To::Immediate(instead(ours))).await
}

/// Keeps for the log what its client is answered.
fn answered(exchange: &mut Exchange, head: &ResponseHeader) {
    if let Some(original) = &mut exchange.original {
        original.status = Some(head.status.as_u16());
    }
}

/// Envoy's own time for an answer is over long before.
const NO_ANSWER: &str = "nothing was told of the answer in time";
