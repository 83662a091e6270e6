//! Headers that belong to one refusal or another.

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};

use super::Refused;
use crate::payment::receipt;
use crate::refusal::Refusal;
use crate::route::Terms;

/// Puts them into the head of an answer.
pub(super) fn describe(head: &mut HeaderMap, refused: &Refused<'_>) {
    let refusal = refused.refusal;
    let mut put = |name: HeaderName, value: &str| {
        // All of them are ASCII that we wrote ourselves.
        if let Ok(value) = HeaderValue::from_str(value) {
            head.insert(name, value);
        }
    };
    if let Some(wait) = refusal.retry_after() {
        put(header::RETRY_AFTER, &seconds_up(wait).to_string());
    }
    if refused.told.status == StatusCode::UNAUTHORIZED.as_u16() {
        put(header::WWW_AUTHENTICATE, SCHEME);
    }
    match refusal {
        Refusal::MethodNotAllowed { allow } => put(header::ALLOW, allow),
        Refusal::RateLimited { told, .. } => {
            put(RATE_LIMIT, &told.state);
            put(RATE_LIMIT_POLICY, &told.policy);
        }
        Refusal::PaymentInvalid(reason) | Refusal::SettlementRejected(reason) => {
            let network = first_network(refused.terms);
            if let Ok(value) = receipt::failure(*reason, network) {
                put(HeaderName::from_static(receipt::V2_HEADER), &value);
                put(HeaderName::from_static(receipt::V1_HEADER), &value);
            }
        }
        _ => {}
    }
}

fn first_network(terms: Option<&Terms>) -> &str {
    let first = terms.and_then(|terms| terms.offers.first());
    first.map_or("", |by| by.offer.requirements.network.as_str())
}

/// Whole seconds, rounded up, at least one: nobody is told to come back too early.
fn seconds_up(wait: Duration) -> u64 {
    wait.as_secs().saturating_add(u64::from(wait.subsec_nanos() > 0)).max(1)
}

/// What a 401 must name: how to prove oneself. Its terms are in the other header.
const SCHEME: &str = "x402";

const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
