-- SHA-256 of what was signed and of who sent it: whom an answer is owed when its gateway ends first.
ALTER TABLE payments ADD COLUMN sender BYTEA CHECK (length(sender) = 32);
