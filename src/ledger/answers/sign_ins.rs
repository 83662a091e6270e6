//! Sign-ins that have let somebody in: each does once.

use std::time::Duration;

use super::store::Value;
use super::{Answers, cannot_write, closed};
use crate::clock::UnixMillis;
use crate::digest::Digest;
use crate::fault::Fault;

/// Whether a sign-in has been here before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// It has not.
    First,
    /// It has.
    Before,
}

impl Answers {
    /// Uses a sign-in up, which is called `id`, and remembers it for so long. Of several gateways
    /// that are asked at once one sees it first. Written when it returns.
    ///
    /// # Errors
    /// Ledger, later: it cannot be written.
    ///
    /// # Cancel safety
    /// It may be used up.
    pub async fn use_up(
        &self,
        id: &Digest,
        lasts: Duration,
        now: UnixMillis,
    ) -> Result<Seen, Fault> {
        let Some(inner) = &self.0 else { return Err(closed()) };
        let mut values = inner.store.begun(now);
        values.extend([Value::from(id.bytes()), lasts.into()]);
        let written = inner.store.run(USE_UP, values).await.map_err(cannot_write)?;
        Ok(if written > 0 { Seen::First } else { Seen::Before })
    }
}

const USE_UP: &str = "INSERT INTO sign_ins (id, expires_at) VALUES ($3, {now} + $4)
    ON CONFLICT (id) DO UPDATE SET expires_at = excluded.expires_at
    WHERE sign_ins.expires_at <= {now}";
