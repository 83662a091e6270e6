-- One line per signed payment, for ever: what was signed is the key, what became of it the rest.
CREATE TABLE payments (
    -- Counts claims. A payment that is claimed again moves to the end.
    serial       INTEGER PRIMARY KEY,
    -- The identity: CAIP-2, then 0x and lower-case hex.
    network      TEXT NOT NULL,
    asset        TEXT NOT NULL,
    payer        TEXT NOT NULL,
    nonce        TEXT NOT NULL,
    -- 32 hex digits. The only exchange that may change this line.
    exchange     TEXT NOT NULL,
    route        TEXT NOT NULL,
    facilitator  TEXT NOT NULL,
    -- Atomic units, decimal. Up to 128 bits, so not an INTEGER.
    amount       TEXT NOT NULL,
    pay_to       TEXT NOT NULL,
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
    -- A payer's payments lie together, and the first column tells most pairs apart.
    UNIQUE (payer, nonce, asset, network)
) STRICT;

-- What recovery reads. Holds only what is in flight, so it stays small.
CREATE INDEX payments_unfinished ON payments (serial)
    WHERE state = 'held' OR state = 'settling' OR state = 'unknown';
