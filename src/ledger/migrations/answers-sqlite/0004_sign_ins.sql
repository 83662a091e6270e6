-- Sign-ins that have let somebody in, until they are too old to do so again.
CREATE TABLE sign_ins (
    -- SHA-256 of the wallet and its nonce.
    id           BLOB PRIMARY KEY CHECK (length(id) = 32),
    expires_at   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX sign_ins_expire ON sign_ins (expires_at);
