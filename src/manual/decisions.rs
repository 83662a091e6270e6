//! What was decided, why, and what was left. Newest last.
//!
//! # A payment is reserved before the facilitator is asked
//!
//! The plan had verify before reserve. A payment sent fifty times at once would then cost fifty
//! questions at a facilitator; claimed first, it costs one. A claim is a row in the ledger, so
//! garbage costs us a row: only a payment with a good signature gets that far, and each address
//! gets thirty bad ones a minute.
//!
//! # A claim may be taken again after `released` and `refused`
//!
//! In both nothing has moved. The payer may top up its account and send the same authorization
//! again; the asset's contract takes each nonce once, whatever we believe.
//!
//! # Work that must outlive a request takes its first step in place
//!
//! `payment/outlive.rs` polls once on the request's task and moves the rest to the money runtime.
//! A settlement that never waits costs no hop; everything else survives the client.
//!
//! # The simulated chain keeps a file of its own
//!
//! It stands for another system. Its journal is what tests compare the ledger with after a crash,
//! so it must not be the ledger.
//!
//! # Listeners are bound by us
//!
//! pingora retries an address that is in use for 30 seconds. We bind, fail at once, learn the port
//! when it was 0, and hand the socket over through pingora's own table of inherited listeners.
//!
//! # pingora's `Server` is not used
//!
//! Its services are. `Server` parses its own configuration, handles signals its own way and always
//! sleeps its whole grace period; ours ends when nothing runs any more.
//!
//! # Path escapes must be upper-case and necessary
//!
//! One spelling of each path is forwarded, so the path that was matched is the path that any
//! upstream sees. Clients' URL libraries write upper-case escapes.
//!
//! # A WebSocket upgrade on a priced route is settled on its 101
//!
//! It is the answer that was paid for; passing it unsettled would serve it unpaid.
//!
//! # A payment whose window is closing still asks the ledger
//!
//! A payer who was told 503 comes back with the same payment, perhaps when its window is about to
//! close. It is refused as too late only when the ledger knows nothing of it; else it would be told
//! 402 for money that has moved. The simulation found this.
//!
//! # `success: false` does not always mean that nothing moved
//!
//! A published facilitator says so, with an empty transaction and status 200, when waiting for the
//! receipt fails after the broadcast. Only reasons that are given before anything is sent count as
//! rejections; every other refusal to settle leaves the outcome unknown.
//!
//! # A request to settle is never repeated by the HTTP client
//!
//! The second could be refused as used although the first one paid. Idle connections close after
//! four seconds, because common servers close theirs at five and a lost answer is an unknown one.
//!
//! # Routes are matched as the laxest upstream would read them
//!
//! Common frameworks serve `/PAID` and `/paid/` as `/paid`. The table is searched with case folded
//! and the last slash ignored; the route found must then be spelled byte for byte, or nothing is
//! served. With a general-purpose router a free `/*` beside a priced path would have opened it, so
//! the trie is ours. The path is matched before the method, for the same reason.
//!
//! # Buckets give back by moving governor's own number
//!
//! governor has no refund. Its state is one moment per key, in a store of ours; giving back moves
//! it by one interval, which is exact and capped at the burst. A full table makes new keys share
//! one bucket per shard: it fails closed.
//!
//! # Settled on the head, bodies stream
//!
//! A body that breaks off after the settlement is not refunded: nothing can be awaited once it
//! flows. Routes that need more wait for `settle = "after-answer"`.
//!
//! # The background remover is classical for now
//!
//! Saliency, GrabCut and a guided filter, because nothing may be downloaded and the smallest
//! network tried scored lower. `tests/bench/cutouts` prints its scores on the sample photos.
//!
//! # What the line counter of `tests/tidy.rs` leaves out
//!
//! Literals that cannot be broken, and the tests of a file.
//!
//! # When a facilitator is not asked any more
//!
//! Five faults in a row, or sixteen of the last thirty-two: fewer than five is one bad connection
//! and its neighbours, more than five is five payers whose settlements hang. The second rule is
//! for one that fails half the time. Each question has its own circuit, because a facilitator may
//! verify well and lose every settlement. The first wait is 1 s, as long as a restart behind a load
//! balancer; the last is 60 s, what an outage costs beyond its end. Not configurable: nobody knows
//! better numbers before an outage, and after it they are in the metrics.
//!
//! What a payer can cause at will does not count: a refused payment, or a settlement that fails
//! because the account is empty by now. Else one payer could close the gateway for all others.
//!
//! A wait is not tried by a payment where `/supported` can be asked first, beside the requests.
//! Time is the time of day, because it is handed in; a clock that is set back ends a wait early,
//! never late.
//!
//! # Another facilitator hears of a payment only if the first has not taken it
//!
//! `verify` moves nothing and goes to the next within one request. A settlement goes to the next
//! after no connection, or an answer at the door such as 401 or 429, and after the ledger names the
//! next. A timeout, a 5xx or garbage ends it as unknown: two facilitators with one authorization
//! would race on the chain, and the loser's word would be taken for the outcome.
//!
//! # Readiness is not a facilitator's health
//!
//! If each replica took itself out while a facilitator is away, an outage there would take free
//! routes and other networks down with it.
//!
//! # A settlement is not forced through an open circuit
//!
//! When the circuit opens between verify and settle and nobody else is there, the payment is
//! released and the answer is withheld. To send it anyway would turn a lost answer into an unknown
//! payment.
