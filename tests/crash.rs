//! `kill -9` before and after each durable write: afterwards the ledger agrees with the chain, and
//! nobody pays twice.

mod points;
mod replicas;
mod storm;
