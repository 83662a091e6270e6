//! The trace of an exchange: begun with its request, told of its steps, handed on to its upstream.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use pingora::http::RequestHeader;
use pingora::proxy::Session;

use super::exchange::Exchange;
use super::{Gateway, peer};
use crate::clock;
use crate::facilitator::Parents;
use crate::observe::Step;
use crate::observe::traces::TRACE_STATE;
use crate::outgoing::TRACE_PARENT;

impl Gateway {
    /// Goes on with the trace of a request, or begins one, where there are any.
    pub(super) fn follow(&self, session: &Session, exchange: &mut Exchange) {
        let Some(traces) = self.metrics.traces() else { return };
        let peer = peer(session).unwrap_or(IpAddr::from([0, 0, 0, 0]));
        let headers = &session.req_header().headers;
        exchange.trace = traces.begin(headers, peer, (exchange.started, &self.clock));
    }
}

impl Exchange {
    /// A step begins; nothing where nobody wants to know.
    pub(super) fn begins(&self) -> Option<Instant> {
        self.trace.as_ref().filter(|trace| trace.is_kept()).map(|_| clock::steady())
    }

    /// A step that began then is over: well, or for this reason.
    pub(super) fn took(
        &mut self,
        step: Step,
        began: Option<Instant>,
        failure: Option<&'static str>,
    ) {
        if let Some((trace, began)) = self.trace.as_mut().zip(began) {
            trace.took(step, (began, clock::steady()), failure);
        }
    }

    /// A settlement that began then is over: well, or for this reason.
    pub(super) fn settling(&mut self, began: Instant, failure: Option<&'static str>) {
        self.stages.settle = Some(began.elapsed());
        self.took(Step::Settle, Some(began), failure);
    }

    /// A backend is looked for.
    pub(super) fn asks(&mut self) {
        if let Some((trace, now)) = self.begins().and_then(|now| Some((self.trace.as_mut()?, now)))
        {
            trace.asks(now);
        }
    }

    /// The upstream has answered with a final header.
    pub(super) fn answered(&mut self, status: u16) {
        self.stages.upstream = self.tries.since().map(|then| then.elapsed());
        if let Some(trace) = &mut self.trace {
            trace.answered(clock::steady(), Ok(status));
        }
    }

    /// If the upstream was asked and has not answered, it will not any more, for this reason.
    pub(super) fn broke_off(&mut self, why: &'static str) {
        if let Some(trace) = &mut self.trace {
            trace.answered(clock::steady(), Err(why));
        }
    }

    /// The spans that ask a facilitator; none where no traces are made.
    pub(super) fn parents(&self) -> Option<Arc<Parents>> {
        let [verify, settle] = self.trace.as_ref()?.for_facilitators();
        Some(Arc::new(Parents { verify, settle }))
    }

    /// Tells an upstream which span asks it. What its caller said is not said on where it could
    /// not be read.
    pub(super) fn hand_on(&self, request: &mut RequestHeader) -> pingora::Result<()> {
        let Some(trace) = &self.trace else { return Ok(()) };
        request.insert_header(TRACE_PARENT, trace.for_upstream())?;
        match trace.state() {
            Some(state) => request.insert_header(TRACE_STATE, state.clone()),
            None => {
                request.remove_header(&TRACE_STATE);
                Ok(())
            }
        }
    }
}
