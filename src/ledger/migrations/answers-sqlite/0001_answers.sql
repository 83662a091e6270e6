-- What became of the answers that were paid for, by payment. The last exchange's, nothing older.
CREATE TABLE answers (
    -- Counts what is kept; the lowest goes first when there is too much.
    serial       INTEGER PRIMARY KEY,
    -- The identity of the payment, as in the ledger.
    payer        TEXT NOT NULL,
    nonce        TEXT NOT NULL,
    asset        TEXT NOT NULL,
    network      TEXT NOT NULL,
    -- The exchange that the answer was given in.
    exchange     TEXT NOT NULL,
    -- `whole`, or why there is no answer here.
    outcome      TEXT NOT NULL,
    -- SHA-256 of the whole signed payment, and of the request that it paid for.
    payment      BLOB NOT NULL CHECK (length(payment) = 32),
    request      BLOB NOT NULL CHECK (length(request) = 32),
    -- What this line takes: headers, body and the rest.
    bytes        INTEGER NOT NULL,
    -- Milliseconds since 1970; from then on it is as if it were not here.
    expires_at   INTEGER NOT NULL,
    status       INTEGER NOT NULL,
    headers      BLOB NOT NULL,
    body         BLOB NOT NULL,
    UNIQUE (payer, nonce, asset, network)
) STRICT;

CREATE INDEX answers_expire ON answers (expires_at);

-- Payments that are settled before their answer is made: whom an answer is still owed.
CREATE TABLE debts (
    payer        TEXT NOT NULL,
    nonce        TEXT NOT NULL,
    asset        TEXT NOT NULL,
    network      TEXT NOT NULL,
    -- The exchange that claimed the payment.
    exchange     TEXT NOT NULL,
    -- How often it may still be tried.
    tries        INTEGER NOT NULL,
    -- Milliseconds since 1970; until then somebody is at it.
    busy_until   INTEGER NOT NULL,
    expires_at   INTEGER NOT NULL,
    PRIMARY KEY (payer, nonce, asset, network)
) STRICT;
