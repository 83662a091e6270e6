-- What payers call what they buy, and the payment that each name stands for.
CREATE TABLE names (
    payer        TEXT NOT NULL,
    id           TEXT NOT NULL,
    nonce        TEXT NOT NULL,
    asset        TEXT NOT NULL,
    network      TEXT NOT NULL,
    -- The exchange that has, or had, claimed it.
    exchange     TEXT NOT NULL,
    expires_at   INTEGER NOT NULL,
    PRIMARY KEY (payer, id)
) STRICT;

CREATE INDEX names_expire ON names (expires_at);
