//! Payments from header to receipt: the pure steps as tables, the others against chance.

mod chain;
mod permit;
mod present;
mod prove;
mod simulation;
mod wallet;
