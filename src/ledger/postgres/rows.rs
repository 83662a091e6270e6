//! PostgreSQL's statements for the writer, and what is bound to them: one statement for a round.

use std::collections::HashSet;

use sqlx::postgres::{PgArguments, PgConnection, PgRow};
use sqlx::{Arguments as _, Error, Row as _};

use super::super::lines::{self, BoxError, EXTRA, Line as _, key, of_key, select, token};
use super::super::queue::{Advancing, Claiming};
use super::super::round::{Outcome, Round};
use super::super::{Claimed, Entry, Misstep, State};
use crate::x402::PaymentIdentity;

/// Takes the lock that each connection of an instance wants.
pub(super) const LOCK: &str = "SELECT pg_try_advisory_lock(hashtextextended($1, 0))";

/// Ends the other connections of an instance.
pub(super) const END_OTHERS: &str = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE application_name = $1 AND usename = current_user AND pid <> pg_backend_pid()";

/// Begins or renews a lease of so many milliseconds.
pub(super) const RENEW: &str = "INSERT INTO instances (id, lease_until)
    VALUES ($1, now() + $2 * interval '1 millisecond')
    ON CONFLICT (id) DO UPDATE SET lease_until = excluded.lease_until";

/// Ends a lease.
pub(super) const LEAVE: &str = "DELETE FROM instances WHERE id = $1";

/// Reads what is in flight, oldest first, each with its number and whether its gateway lives.
pub(super) const UNFINISHED: &str = select!(
    text,
    ", serial, EXISTS (SELECT 1 FROM instances
        WHERE instances.id = payments.instance AND lease_until > now())
    FROM payments WHERE state IN ('held', 'settling', 'unknown') AND serial > $1
    ORDER BY serial LIMIT $2"
);

/// Reads where the gateway is that has made a claim, [`ELSEWHERE`] or [`GONE`] if it is not the one
/// that asks, and the sender.
pub(super) const CLAIM_OF: &str = concat!(
    "SELECT CASE WHEN instance = $6 THEN 0::bigint
        WHEN EXISTS (SELECT 1 FROM instances
            WHERE instances.id = payments.instance AND lease_until > now()) THEN 1
        ELSE 2 END, encode(sender, 'hex')",
    of_key!(text),
    " AND exchange = $5"
);
pub(super) const ELSEWHERE: i64 = 1;
pub(super) const GONE: i64 = 2;

/// Claims payments that nobody has or that somebody let go, and advances payments that stand where
/// the step starts. Each payment is named once. Says how many of both it has done.
const WRITE: &str = "
WITH claimed AS (
    INSERT INTO payments (payer, nonce, asset, network, exchange, instance, route, facilitator,
        amount, pay_to, valid_before, state, claimed_at, changed_at, token, sender)
    SELECT payer, nonce, asset, network, exchange, $1, route, facilitator,
        amount, pay_to, valid_before, 'held', moment, moment, token, sender
    FROM unnest($2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[],
        $8::text[], $9::text[], $10::text[], $11::bigint[], $12::bigint[],
        $26::text[], $27::bytea[])
        AS claim (payer, nonce, asset, network, exchange, route,
            facilitator, amount, pay_to, valid_before, moment, token, sender)
    ON CONFLICT (payer, nonce, asset, network) DO UPDATE SET
        serial = excluded.serial, exchange = excluded.exchange, instance = excluded.instance,
        route = excluded.route, facilitator = excluded.facilitator, amount = excluded.amount,
        pay_to = excluded.pay_to, valid_before = excluded.valid_before, state = excluded.state,
        token = excluded.token, sender = excluded.sender,
        past = right(coalesce(payments.past || ' ', '') || payments.state || '@'
            || payments.changed_at || '/' || payments.exchange, 2000),
        transaction = NULL, reason = NULL, moves = NULL,
        claimed_at = excluded.claimed_at, changed_at = excluded.changed_at
    WHERE payments.state IN ('released', 'refused')
    RETURNING 1
), stepped AS (
    UPDATE payments SET state = step.state,
        past = right(coalesce(past || ' ', '') || payments.state || '@' || changed_at, 2000),
        transaction = coalesce(step.transaction_, transaction),
        reason = step.reason_, facilitator = coalesce(step.facilitator_, facilitator),
        changed_at = step.moment, moves = coalesce(step.moves_, moves)
    FROM unnest($13::text[], $14::text[], $15::text[], $16::text[], $17::text[], $18::text[],
        $19::text[], $20::text[], $21::text[], $22::text[], $23::text[], $24::text[],
        $25::bigint[], $28::text[])
        AS step (payer, nonce, asset, network, exchange, from_1,
            from_2, from_3, state, transaction_, reason_, facilitator_, moment, moves_)
    WHERE payments.payer = step.payer AND payments.nonce = step.nonce
        AND payments.asset = step.asset AND payments.network = step.network
        AND payments.exchange = step.exchange
        AND payments.state IN (step.from_1, step.from_2, step.from_3)
        AND (payments.state <> step.state OR payments.facilitator <> step.facilitator_)
        AND (payments.state = 'held' OR step.moves_ IS NULL OR payments.moves = step.moves_)
    RETURNING 1
)
SELECT (SELECT count(*) FROM claimed), (SELECT count(*) FROM stepped)";

/// Reads the lines of payments, each with the number of its question.
const FIND: &str = select!(
    text,
    ", number FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::text[])
        AS find (number, payer, nonce, asset, network)
    JOIN payments ON payments.payer = find.payer AND payments.nonce = find.nonce
        AND payments.asset = find.asset AND payments.network = find.network"
);

/// Whether the gateway of a row of [`UNFINISHED`] lives.
///
/// # Errors
/// The row does not say so.
pub(super) fn lives(row: &PgRow) -> Result<bool, BoxError> {
    Ok(row.try_get(EXTRA + 1)?)
}

/// Writes a round in one statement, which is one transaction, and reads the lines of those that
/// were not as expected.
///
/// A claim whose line is held by its own exchange is ours, whether this statement wrote it or one
/// before it whose answer was lost.
pub(super) async fn write(
    connection: &mut PgConnection,
    round: &Round,
    instance: &str,
) -> Result<Outcome, Error> {
    let claims = firsts(&round.claims);
    let values = values(&claims, &round.advances, instance).map_err(Error::Encode)?;
    let done = sqlx::query_with(WRITE, values).fetch_one(&mut *connection).await?;
    let (claimed, stepped): (i64, i64) = (done.try_get(0)?, done.try_get(1)?);
    let mut outcome = Outcome {
        claims: vec![Claimed::Ours; round.claims.len()],
        advances: vec![Ok(()); round.advances.len()],
    };
    if usize::try_from(claimed) != Ok(round.claims.len()) {
        let identities = round.claims.iter().map(|op| &op.claim.identity);
        for (number, entry) in find(&mut *connection, identities).await? {
            let asked = round.claims.get(number).map(|op| op.claim.exchange);
            let ours = asked == Some(entry.exchange) && entry.state == State::Held;
            if let Some(claimed) = outcome.claims.get_mut(number).filter(|_| !ours) {
                *claimed = Claimed::Taken(entry);
            }
        }
    }
    if usize::try_from(stepped) != Ok(round.advances.len()) {
        outcome.advances.fill(Err(Misstep::NoEntry));
        let identities = round.advances.iter().map(|op| &op.identity);
        for (number, entry) in find(&mut *connection, identities).await? {
            let asked = round.advances.get(number);
            if let (Some(result), Some(op)) = (outcome.advances.get_mut(number), asked) {
                *result = entry.stands_after(op.exchange, &op.step);
            }
        }
    }
    Ok(outcome)
}

/// The first claim of each payment, by key: every gateway locks lines in the same order.
fn firsts(claims: &[Claiming]) -> Vec<([String; 4], &Claiming)> {
    let mut seen = HashSet::with_capacity(claims.len());
    let first = claims.iter().filter(|op| seen.insert(&op.claim.identity));
    let mut keyed: Vec<_> = first.map(|op| (key(&op.claim.identity), op)).collect();
    keyed.sort_by(|(a, _), (b, _)| a.cmp(b));
    keyed
}

fn values(
    claims: &[([String; 4], &Claiming)],
    steps: &[Advancing],
    instance: &str,
) -> Result<PgArguments, BoxError> {
    let claim = |text: &dyn Fn(&Claiming) -> String| -> Vec<String> {
        claims.iter().map(|(_, op)| text(op)).collect()
    };
    let step =
        |text: &dyn Fn(&Advancing) -> String| -> Vec<String> { steps.iter().map(text).collect() };
    let mut values = PgArguments::default();
    values.add(instance)?;
    add_keys(&mut values, claims.iter().map(|(key, _)| key.clone()))?;
    values.add(claim(&|op| op.claim.exchange.to_string()))?;
    values.add(claim(&|op| op.claim.route.to_string()))?;
    values.add(claim(&|op| op.claim.facilitator.to_string()))?;
    values.add(claim(&|op| op.claim.amount.to_string()))?;
    values.add(claim(&|op| format!("{:#x}", op.claim.pay_to)))?;
    let valid_before = |op: &Claiming| i64::try_from(op.claim.valid_before).unwrap_or(i64::MAX);
    values.add(claims.iter().map(|(_, op)| valid_before(op)).collect::<Vec<_>>())?;
    values.add(claims.iter().map(|(_, op)| op.now.millis()).collect::<Vec<_>>())?;
    add_keys(&mut values, steps.iter().map(|op| key(&op.identity)))?;
    values.add(step(&|op| op.exchange.to_string()))?;
    for place in 0..3 {
        let source = |op: &Advancing| op.step.sources().get(place).map(|state| state.name());
        values.add(step(&|op| source(op).unwrap_or_default().to_owned()))?;
    }
    values.add(step(&|op| op.step.state().name().to_owned()))?;
    values.add(steps.iter().map(|op| op.step.transaction()).collect::<Vec<_>>())?;
    values.add(steps.iter().map(|op| op.step.reason()).collect::<Vec<_>>())?;
    values.add(steps.iter().map(|op| op.step.facilitator()).collect::<Vec<_>>())?;
    values.add(steps.iter().map(|op| op.now.millis()).collect::<Vec<_>>())?;
    let token = |op: &Claiming| token(&op.claim).map(|token| format!("{token:#x}"));
    values.add(claims.iter().map(|(_, op)| token(op)).collect::<Vec<_>>())?;
    values.add(claims.iter().map(|(_, op)| op.claim.sender.bytes()).collect::<Vec<_>>())?;
    let moves = |op: &Advancing| op.step.amount().map(|amount| amount.to_string());
    values.add(steps.iter().map(moves).collect::<Vec<_>>())?;
    Ok(values)
}

/// Lines, each with the place of its payment among those asked for.
async fn find<'a>(
    connection: &mut PgConnection,
    identities: impl ExactSizeIterator<Item = &'a PaymentIdentity> + Clone,
) -> Result<Vec<(usize, Entry)>, Error> {
    let mut values = PgArguments::default();
    let numbers: Vec<i64> = (0_i64..).zip(identities.clone()).map(|(number, _)| number).collect();
    values.add(numbers).map_err(Error::Encode)?;
    add_keys(&mut values, identities.map(key)).map_err(Error::Encode)?;
    let found = sqlx::query_with(FIND, values).fetch_all(connection).await?;
    let read = |row: &PgRow| Ok((usize::try_from(row.number(EXTRA)?)?, lines::entry(row)?));
    found.iter().map(|row| read(row).map_err(Error::Decode)).collect()
}

/// Adds the four parts of each key as four columns.
fn add_keys(
    values: &mut PgArguments,
    keys: impl Iterator<Item = [String; 4]>,
) -> Result<(), BoxError> {
    let mut columns: [Vec<String>; 4] = Default::default();
    for key in keys {
        for (column, part) in columns.iter_mut().zip(key) {
            column.push(part);
        }
    }
    columns.into_iter().try_for_each(|column| values.add(column))
}
