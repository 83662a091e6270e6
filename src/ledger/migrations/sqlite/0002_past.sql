-- Where the payment stood before, for whoever looks into one: `state@ms` for each change, the last
-- one of an exchange that let go with `/` and the exchange. What is longest ago is cut off.
ALTER TABLE payments ADD COLUMN past TEXT CHECK (length(past) <= 2000);
