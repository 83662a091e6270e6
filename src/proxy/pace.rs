//! How much of a body a client may send on its way to the upstream, and how slowly.

use std::time::Duration;

use super::Gateway;
use super::exchange::Exchange;
use crate::refusal::Refusal;

impl Gateway {
    /// Counts a piece of a body that is on its way.
    ///
    /// # Errors
    /// It is too much by now, or has come too slowly for more to be waited for.
    pub(super) fn takes(
        &self,
        exchange: &mut Exchange,
        bytes: usize,
        last: bool,
    ) -> Result<(), Refusal> {
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        exchange.body_bytes = exchange.body_bytes.saturating_add(bytes);
        let bytes_max = self.body_bytes_max(exchange);
        if exchange.body_bytes > bytes_max {
            return Err(Refusal::BodyTooLarge { bytes_max });
        }
        // Once it answers, the upstream is content with what has come: streams go on both ways.
        let answered = exchange.stages.upstream.is_some();
        let since = exchange.tries.since().map(|then| then.elapsed()).unwrap_or_default();
        let late = since.saturating_sub(self.settings.client_timeout);
        match !last && !answered && drips(exchange.body_bytes, late) {
            true => Err(Refusal::RequestMalformed("the body came too slowly".into())),
            false => Ok(()),
        }
    }

    /// Bytes that a request's body may have.
    pub(super) fn body_bytes_max(&self, exchange: &Exchange) -> u64 {
        let own = exchange.route.as_ref().and_then(|route| route.body.bytes_max);
        own.unwrap_or(self.settings.body_bytes_max)
    }
}

/// Whether a body comes more slowly than anybody sends one who wants to be done. Each pause in it
/// has a bound already; this is one on their sum.
fn drips(bytes: u64, late: Duration) -> bool {
    late.as_secs().saturating_mul(BYTES_PER_SECOND_MIN) > bytes
}

/// The pace of a body, once it has taken longer than a client may pause.
const BYTES_PER_SECOND_MIN: u64 = 1_024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_has_a_pace() {
        for (bytes, late, expected) in [
            (0, 0, false),
            (1, 0, false),
            (1_023, 1, true),
            (1_024, 1, false),
            (100_000, 97, false),
            (100_000, 98, true),
            (u64::MAX, u64::MAX, false),
        ] {
            assert_eq!(drips(bytes, Duration::from_secs(late)), expected, "{bytes} in {late}");
        }
    }
}
