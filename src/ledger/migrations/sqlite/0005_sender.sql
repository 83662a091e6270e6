-- SHA-256 of what was signed and of who sent it: whom an answer is owed when its gateway ends first.
ALTER TABLE payments ADD COLUMN sender BLOB CHECK (length(sender) = 32);
