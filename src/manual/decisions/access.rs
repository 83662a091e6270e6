//! Decisions on who is let through: limits that gateways share, block lists, what is free at first.
//!
//! # Shared limits are one script that does what governor does
//!
//! A bucket is one number in both, how long it takes to be full again. The script takes from it and
//! puts back in one step at one place, so exactly as many pass as one gateway would let through; a
//! test walks both with random requests, refunds and pauses, and wants the same answer to the
//! nanosecond. Kept is the moment in whole microseconds and what is owed in whole nanoseconds: both
//! fit into Lua's numbers, where one moment in nanoseconds would be rounded. Fixed windows, what
//! most use with Redis, would let twice as many pass around their edge.
//!
//! The time is Redis's own. Clocks of gateways differ, and the one that is ahead would give more.
//!
//! A bucket's name has its rate in it: a changed one begins full, as it does in one gateway.
//!
//! # Without Redis a gateway lets its part through
//!
//! To refuse everybody would make Redis something that sales depend on; to let everybody pass would
//! make it what an attacker aims at. `rate / replicas` needs a number in the configuration: to count
//! one another the gateways would need what is just away. Its buckets are full at that moment, so
//! an outage gives a client one more burst; to keep them in step beside Redis would cost each
//! request both.
//!
//! # Whoever waits for Redis in vain gives the connection up for all
//!
//! One connection carries everybody's scripts without an order among them, so what holds up one
//! holds up all. The first who is not answered in time drops it, which ends the others' waiting
//! too, and a task beside the requests looks for another: no request ever tries. What is queued is
//! bounded by the requests in flight. A connection counts as good when it has taken from a bucket:
//! one that accepts and hangs, is read-only or out of memory is not.
//!
//! # What is put back is waited for
//!
//! A good payment gives its place among the refused ones back, and a settled one earns a request.
//! To do so behind the answer would save a paid request some 0.2 ms, and a client that asks the
//! next gateway at once would be refused what it has just earned.
