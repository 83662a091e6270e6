-- What is moved, where that may be less than `amount`: written before anybody is asked to move it.
ALTER TABLE payments ADD COLUMN moves TEXT;
