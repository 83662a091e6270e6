-- What is paid with, where `asset` is Permit2: that takes the numbers of a payer for all assets.
ALTER TABLE payments ADD COLUMN token BLOB;
