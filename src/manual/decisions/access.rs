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
//! make it what an attacker aims at. `rate / replicas` needs a number in the configuration: to
//! count one another the gateways would need what is just away. Its buckets are full at that
//! moment, so an outage gives a client one more burst; to keep them in step beside Redis would cost
//! each request both.
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
//!
//! # Who is blocked is told so
//!
//! 403 with a code of its own. To let a blocked address wait, or to lie to it, costs a connection
//! or a promise. A blocked payer's payment is looked at as any, because a payer is who has signed:
//! whoever only names another's account learns nothing and takes nothing. It is then looked for in
//! the ledger: a payment that was settled before the list was changed has bought its answer, and
//! `consumed: false` would be a lie. Lists may be files of their own because programs write them.
//!
//! # What is free at first is a bucket like any other
//!
//! `10/day` gives ten at once and then one each 144 minutes, so up to nineteen on the first day. A
//! calendar's day would need a zone, and give everybody ten at the same midnight; a window from the
//! first request would need a second table, a second script and their tests. By address only: who
//! pays is known by a payment, and who has signed nothing can claim to be anybody.
//!
//! A request that brings a payment is never free: the client has decided to pay, and a payment that
//! is taken for nothing would have to be told apart from one that was not. One whose body the route
//! would not take, or whose upstream is away, hears 402 and takes nothing from the bucket. A probe
//! by a catalogue is a request as any: what is free is given, not offered.
