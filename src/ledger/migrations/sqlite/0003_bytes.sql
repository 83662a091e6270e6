-- What was text of hex digits is bytes: half the file, and half of what each change writes.
ALTER TABLE payments RENAME TO old;
DROP INDEX payments_unfinished;

-- One line per signed payment, for ever: what was signed is the key, what became of it the rest.
CREATE TABLE payments (
    -- Counts claims. A payment that is claimed again moves to the end.
    serial       INTEGER PRIMARY KEY,
    -- The identity.
    payer        BLOB NOT NULL,
    nonce        BLOB NOT NULL,
    asset        BLOB NOT NULL,
    -- CAIP-2.
    network      TEXT NOT NULL,
    -- 16 bytes. The only exchange that may change this line.
    exchange     BLOB NOT NULL,
    route        TEXT NOT NULL,
    facilitator  TEXT NOT NULL,
    -- Atomic units, decimal. Up to 128 bits, so not an INTEGER.
    amount       TEXT NOT NULL,
    pay_to       BLOB NOT NULL,
    -- Unix seconds; the far end of the type stands for anything later.
    valid_before INTEGER NOT NULL,
    state        TEXT NOT NULL CHECK (
        state = 'held' OR state = 'settling' OR state = 'settled'
        OR state = 'refused' OR state = 'released' OR state = 'unknown'
    ),
    "transaction" TEXT CHECK (length("transaction") <= 128),
    reason       TEXT,
    -- Milliseconds since 1970.
    claimed_at   INTEGER NOT NULL,
    changed_at   INTEGER NOT NULL,
    -- Where the payment stood before, for whoever looks into one: `state@ms` for each change, the
    -- last one of an exchange that let go with `/` and the exchange. What is oldest is cut off.
    past         TEXT CHECK (length(past) <= 2000),
    -- A payer's payments lie together, and the first column tells most pairs apart.
    UNIQUE (payer, nonce, asset, network)
) STRICT;

INSERT INTO payments
SELECT serial, unhex(substr(payer, 3)), unhex(substr(nonce, 3)), unhex(substr(asset, 3)), network,
    unhex(exchange), route, facilitator, amount, unhex(substr(pay_to, 3)), valid_before, state,
    "transaction", reason, claimed_at, changed_at, past
FROM old;
DROP TABLE old;

-- What recovery reads. Holds only what is in flight, so it stays small.
CREATE INDEX payments_unfinished ON payments (serial)
    WHERE state = 'held' OR state = 'settling' OR state = 'unknown';
