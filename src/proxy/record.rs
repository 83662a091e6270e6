//! What an exchange came to, for the log and the counters.

use http::Version;
use pingora::proxy::Session;

use super::exchange::{Exchange, Moved};
use super::{Gateway, inspect};
use crate::observe::{Observed, ObservedPayment, ObservedUpstream, PATH_CHARS_MAX};
use crate::refusal::Refusal;

impl Gateway {
    pub(super) fn observe(&self, session: &mut Session, exchange: &mut Exchange) {
        exchange.broke_off(LEFT);
        let request = session.req_header();
        let path = String::from_utf8_lossy(inspect::target(request).0);
        let end = path.char_indices().nth(PATH_CHARS_MAX).map_or(path.len(), |(at, _)| at);
        let told = exchange.original.and_then(|original| original.status);
        let written = || session.response_written().map_or(0, |head| head.status.as_u16());
        let status = told.unwrap_or_else(written);
        let payment = exchange.paid.as_ref().map(|paid| ObservedPayment {
            payer: paid.payer,
            network: paid.network.as_str(),
            asset: paid.asset,
            amount: paid.amount.units(),
            transaction: paid.transaction.as_deref(),
            moved: exchange.moved == Moved::Now,
        });
        let outcome = match &exchange.refusal {
            Some(refusal) => refusal.row().code,
            None if status == 0 && !exchange.is_settled() => LEFT,
            None => exchange.served().name(),
        };
        self.metrics.ended(&Observed {
            began: exchange.began,
            exchange: exchange.id,
            trace: exchange.trace.as_deref(),
            method: match exchange.original.and_then(|original| original.verb) {
                Some(verb) => verb.name(),
                None => request.method.as_str(),
            },
            path: path.get(..end).unwrap_or_default(),
            route: exchange.route.as_ref().map(|route| &*route.name),
            pattern: exchange.route.as_ref().map(|route| &route.pattern),
            http: match request.version {
                Version::HTTP_2 => "2",
                Version::HTTP_10 => "1.0",
                _ => "1.1",
            },
            upstream: upstream(exchange),
            client: exchange.client.unwrap_or(std::net::IpAddr::from([0, 0, 0, 0])),
            status,
            outcome,
            bypass: exchange.bypass.as_deref(),
            signed_in: exchange.signed_in().map(|wallet| wallet.payer),
            refusal: exchange.refusal.as_ref().map(|refusal| refusal.row().code),
            reason: exchange.refusal.as_ref().and_then(Refusal::reason_code),
            payment,
            total: exchange.started.elapsed(),
            stages: exchange.stages,
            bytes_in: exchange.body_bytes,
            bytes_out: u64::try_from(session.body_bytes_sent()).unwrap_or(u64::MAX),
            fault: exchange.fault.as_deref(),
        });
    }
}

/// The backend that an exchange was handed to last, where its trace tells of it.
fn upstream(exchange: &Exchange) -> Option<ObservedUpstream<'_>> {
    exchange.trace.as_ref().filter(|trace| trace.is_kept())?;
    let backend = exchange.tries.backend()?;
    Some(ObservedUpstream {
        name: exchange.route.as_ref()?.upstream.as_deref()?,
        address: backend.address,
        authority: backend.place.authority.to_str().unwrap_or_default(),
        is_https: backend.place.server_name.is_some(),
    })
}

/// What an exchange came to whose client did not wait for it.
const LEFT: &str = "client_gone";
