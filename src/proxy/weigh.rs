//! Requests that are read before money is looked at: for their price, or for what they must be.

use std::time::Duration;

use bytes::Bytes;
use pingora::proxy::Session;

use super::exchange::Exchange;
use super::{Gateway, answer, inspect};
use crate::refusal::Refusal;
use crate::route::tariff::{Asked, BODY_BYTES_MAX};
use crate::route::{Contract, Tariff, Tier};

impl Gateway {
    /// Which terms of a tariff a request is for. Its body is read first where a rule looks at it,
    /// and is kept for the upstream by pingora.
    ///
    /// # Errors
    /// The request has two readings; its body is too long, too slow, or broke off.
    pub(super) async fn weigh(
        &self,
        session: &mut Session,
        exchange: &Exchange,
        tariff: &Tariff,
    ) -> Result<Tier, Refusal> {
        let body = match tariff.reads_body() {
            true => self.read(session, exchange).await?,
            false => Bytes::new(),
        };
        tariff.tier(&asked(session, &body))
    }

    /// Holds a paid request against what the route's document says of it.
    ///
    /// # Errors
    /// As [`Contract::judge`]; its body is too long, too slow, or broke off.
    pub(super) async fn hold_against(
        &self,
        session: &mut Session,
        exchange: &Exchange,
        contract: &Contract,
    ) -> Result<(), Refusal> {
        let body = match contract.reads_body() {
            true => self.read(session, exchange).await?,
            false => Bytes::new(),
        };
        contract.judge(&asked(session, &body))
    }

    async fn read(&self, session: &mut Session, exchange: &Exchange) -> Result<Bytes, Refusal> {
        read(session, self.body_bytes_max(exchange).min(BODY_BYTES_MAX)).await
    }
}

/// What rules and documents look at.
fn asked<'a>(session: &'a Session, body: &'a [u8]) -> Asked<'a> {
    let request = session.req_header();
    let query = inspect::target(request).1;
    Asked { method: &request.method, query, headers: &request.headers, body }
}

/// The body that was read before its request was judged, if it was.
pub(super) fn read_before(session: &mut Session) -> Option<Bytes> {
    session.is_body_done().then(|| session.get_retry_buffer()).flatten()
}

/// The whole body of a request. One that was read before is as it was.
async fn read(session: &mut Session, bytes_max: u64) -> Result<Bytes, Refusal> {
    if session.is_body_empty() {
        return Ok(Bytes::new());
    }
    if let Some(read) = read_before(session) {
        return Ok(read);
    }
    session.enable_retry_buffering();
    answer::invite(session).await.map_err(|_| broke_off())?;
    let reading = async {
        let mut read: u64 = 0;
        while let Some(piece) = session.read_request_body().await.map_err(|_| broke_off())? {
            read = read.saturating_add(u64::try_from(piece.len()).unwrap_or(u64::MAX));
            if read > bytes_max {
                return Err(Refusal::BodyTooLarge { bytes_max });
            }
        }
        Ok(())
    };
    let reading = tokio::time::timeout(READ_TIMEOUT, reading).await;
    reading.map_err(|_| Refusal::RequestMalformed("the body came too slowly".into()))??;
    // A body without bytes that was announced as one cannot be handed on once it was read.
    session
        .get_retry_buffer()
        .ok_or_else(|| Refusal::RequestMalformed("the body has no bytes".into()))
}

fn broke_off() -> Refusal {
    Refusal::RequestMalformed("the request broke off".into())
}

/// How long a body may take that is read before its price is known.
const READ_TIMEOUT: Duration = Duration::from_secs(10);
