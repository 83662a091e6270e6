-- Whose turn it is to pay a debt: the process that was at it last. One that has ended is at nothing.
ALTER TABLE debts ADD COLUMN instance TEXT NOT NULL DEFAULT '';

-- SHA-256 of the whole signed payment.
ALTER TABLE debts ADD COLUMN payment BLOB NOT NULL
    DEFAULT x'0000000000000000000000000000000000000000000000000000000000000000';

CREATE INDEX debts_expire ON debts (expires_at);
CREATE INDEX debts_given ON debts (expires_at) WHERE tries < 0;
