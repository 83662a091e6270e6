-- What became of the answers that were paid for, by payment. The last exchange's, nothing older.
CREATE TABLE answers (
    -- Counts what is kept; the lowest goes first when there is too much.
    serial       BIGINT GENERATED ALWAYS AS IDENTITY UNIQUE,
    -- The identity of the payment, as in `payments`.
    payer        TEXT NOT NULL,
    nonce        TEXT NOT NULL,
    asset        TEXT NOT NULL,
    network      TEXT NOT NULL,
    -- The exchange that the answer was given in.
    exchange     TEXT NOT NULL,
    -- `whole`, or why there is no answer here.
    outcome      TEXT NOT NULL,
    -- SHA-256 of the whole signed payment, and of the request that it paid for.
    payment      BYTEA NOT NULL CHECK (length(payment) = 32),
    request      BYTEA NOT NULL CHECK (length(request) = 32),
    -- What this line takes: headers, body and the rest.
    bytes        BIGINT NOT NULL,
    -- Milliseconds since 1970 by the clock of this server, as every time here; from then on it is
    -- as if it were not here.
    expires_at   BIGINT NOT NULL,
    status       BIGINT NOT NULL,
    headers      BYTEA NOT NULL,
    body         BYTEA NOT NULL,
    PRIMARY KEY (payer, nonce, asset, network)
);

-- Most bodies are compressed already.
ALTER TABLE answers ALTER COLUMN body SET STORAGE EXTERNAL;

CREATE INDEX answers_expire ON answers (expires_at);

-- Payments that are settled before their answer is made: whom an answer is still owed.
CREATE TABLE debts (
    payer        TEXT NOT NULL,
    nonce        TEXT NOT NULL,
    asset        TEXT NOT NULL,
    network      TEXT NOT NULL,
    -- The exchange that claimed the payment.
    exchange     TEXT NOT NULL,
    -- The gateway that was at it last; its line in `instances` may be gone.
    instance     TEXT NOT NULL,
    -- SHA-256 of the whole signed payment.
    payment      BYTEA NOT NULL CHECK (length(payment) = 32),
    -- How often it may still be tried; below zero: an answer is being given, or was.
    tries        BIGINT NOT NULL,
    -- Until then somebody is at it, as long as that gateway lives.
    busy_until   BIGINT NOT NULL,
    expires_at   BIGINT NOT NULL,
    PRIMARY KEY (payer, nonce, asset, network)
);

CREATE INDEX debts_expire ON debts (expires_at);
CREATE INDEX debts_given ON debts (expires_at) WHERE tries < 0;
