//! The SQL of kept answers: statements that SQLite and PostgreSQL both read, and their rows. In
//! each, `$1` is the time and `$2` who asks, if it needs them.

use std::fmt::Write as _;

use bytes::Bytes;

use super::record::{Answer, Missing, WHOLE};

/// Keeps answers, each over an older one of its payment. `$3` is for how long.
pub(super) fn keep(rows: usize) -> String {
    let mut sql =
        "INSERT INTO answers (expires_at, payer, nonce, asset, network, exchange, outcome,
        payment, request, bytes, status, headers, body) VALUES "
            .to_owned();
    for row in 0..rows {
        let comma = if row == 0 { "" } else { "," };
        let first = row * KEEP_COLUMNS + 4;
        let columns: Vec<_> = (first..first + KEEP_COLUMNS).map(|n| format!("${n}")).collect();
        // Writing to a String does not fail.
        let _never = write!(sql, "{comma}({{now}} + $3, {})", columns.join(","));
    }
    sql.push_str(
        " ON CONFLICT (payer, nonce, asset, network) DO UPDATE SET
        exchange = excluded.exchange, outcome = excluded.outcome, payment = excluded.payment,
        request = excluded.request, bytes = excluded.bytes, expires_at = excluded.expires_at,
        status = excluded.status, headers = excluded.headers, body = excluded.body",
    );
    sql
}

const KEEP_COLUMNS: usize = 12;

/// The line of a payment in a table: what is bound from `$3` on, behind the time and who asks.
macro_rules! of_payment {
    ($before:literal, $after:literal) => {
        concat!(
            $before,
            " WHERE payer = $3 AND nonce = $4 AND asset = $5 AND network = $6 AND exchange = $7 ",
            $after
        )
    };
}
pub(super) use of_payment;

/// Reads the line of a payment.
pub(super) const FIND: &str =
    of_payment!("SELECT outcome, payment, request, bytes FROM answers", "AND expires_at > {now}");

/// Reads its answer.
pub(super) const LOAD: &str =
    of_payment!("SELECT status, headers, body FROM answers", "AND outcome = 'whole'");

/// How much is kept.
pub(super) const BYTES: &str = "SELECT CAST(coalesce(sum(bytes), 0) AS BIGINT) FROM answers";

/// The oldest, with what they take.
pub(super) const OLDEST: &str = "SELECT serial, bytes FROM answers ORDER BY serial LIMIT 256";

/// Forgets the oldest.
pub(super) const FORGET: &str = "DELETE FROM answers WHERE serial <= $1 RETURNING bytes";

/// Rows of [`EXPIRE`] that go at once.
pub(super) const PAGE_LEN: u64 = 256;

/// Forgets what is too old, table by table, and debts that are paid and whose answer is kept.
pub(super) const EXPIRE: [&str; 5] = [
    "DELETE FROM answers WHERE serial IN (SELECT serial FROM answers
        WHERE expires_at <= {now} LIMIT 256 {skip})",
    "DELETE FROM debts WHERE (payer, nonce, asset, network) IN (
        SELECT payer, nonce, asset, network FROM debts
        WHERE expires_at <= {now} AND busy_until <= {now} LIMIT 256 {skip})",
    "DELETE FROM debts WHERE (payer, nonce, asset, network) IN (
        SELECT payer, nonce, asset, network FROM debts
        WHERE tries < 0 AND EXISTS (SELECT 1 FROM answers WHERE answers.payer = debts.payer
            AND answers.nonce = debts.nonce AND answers.asset = debts.asset
            AND answers.network = debts.network) LIMIT 256 {skip})",
    "DELETE FROM names WHERE (payer, id) IN (SELECT payer, id FROM names
        WHERE expires_at <= {now} LIMIT 256 {skip})",
    "DELETE FROM sign_ins WHERE id IN (SELECT id FROM sign_ins
        WHERE expires_at <= {now} LIMIT 256 {skip})",
];

/// Headers as lines.
pub(super) fn written(headers: &[(Box<str>, Box<[u8]>)]) -> Vec<u8> {
    let mut lines = Vec::new();
    for (name, value) in headers {
        lines.extend_from_slice(name.as_bytes());
        lines.push(b':');
        lines.extend_from_slice(value);
        lines.push(b'\n');
    }
    lines
}

/// An answer from its row; nothing when the row is not what this program writes.
pub(super) fn answer(status: i64, headers: &[u8], body: Vec<u8>) -> Option<Answer> {
    let lines = headers.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    let headers = lines.map(|line| {
        let colon = line.iter().position(|byte| *byte == b':')?;
        let (name, value) = line.split_at_checked(colon)?;
        Some((std::str::from_utf8(name).ok()?.into(), value.get(1..)?.into()))
    });
    Some(Answer {
        status: u16::try_from(status).ok()?,
        headers: headers.collect::<Option<_>>()?,
        body: Bytes::from(body),
        share: None,
    })
}

/// Why an answer is missing, by its word; outer nothing: no word of this program.
pub(super) fn missing(outcome: &str) -> Option<Option<Missing>> {
    if outcome == WHOLE {
        return Some(None);
    }
    Missing::ALL.into_iter().find(|missing| missing.name() == outcome).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_read_as_they_are_written() {
        let headers: Vec<(Box<str>, Box<[u8]>)> = vec![
            ("content-type".into(), b"text/plain; a=\"b:c\"".as_slice().into()),
            ("x-empty".into(), [].into()),
            ("x-latin".into(), [0xe9].into()),
            ("set-cookie".into(), b"a".as_slice().into()),
            ("set-cookie".into(), b"b".as_slice().into()),
        ];
        let read = answer(201, &written(&headers), b"body".to_vec()).unwrap();
        assert_eq!((read.status, &read.headers, &read.body[..]), (201, &headers, &b"body"[..]));
        assert!(answer(201, &written(&[]), vec![]).unwrap().headers.is_empty());
        assert!(answer(-1, b"", vec![]).is_none() && answer(200, b"no colon", vec![]).is_none());
    }

    #[test]
    fn an_outcome_is_read_as_it_is_written() {
        assert_eq!(missing(WHOLE), Some(None));
        for reason in Missing::ALL {
            assert_eq!(missing(reason.name()), Some(Some(reason)));
        }
        assert_eq!(missing("else"), None);
    }
}
