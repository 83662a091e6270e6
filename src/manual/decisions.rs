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
//! # Paid answers are kept in a file of their own
//!
//! `LEDGER.answers` beside the ledger's file. SQLite has one writer per file, and a megabyte of
//! somebody's answer must not stand before a claim. It is synced less strictly: a killed process
//! loses what was not yet handed over, a power cut the last moment; the payer then hears 409 with
//! the transaction. The ledger itself never depends on it.
//!
//! # The answer is copied beside the stream and written behind it
//!
//! No byte waits for the copy. Until it is written it is found in memory; until it is whole,
//! whoever comes back hears `answer_under_way`. What does not fit the bounds is remembered as
//! missing.
//!
//! # A client connection swallows what its client does not take
//!
//! pingora drops the upstream when a write to the client fails, at the latest on the answer's
//! second write. `proxy/patient.rs` lets writes succeed into the void while a copy is made, and
//! only then: an answer that is not kept, or has grown too long to be, is given up with its client. HTTP/2
//! requests share a connection, so one that is taken back aborts as before.
//!
//! # Who asks for a kept answer proves everything again
//!
//! The signature, and, in constant time, the digests of the whole signed payment and of method,
//! host, path, query and body. The receipt is written anew from the ledger, in the asker's version.
//! 206 is not kept: `Range` is not part of what is compared.
//!
//! # A payment that the route would refuse now is looked up if its signature is good
//!
//! Prices and payees change between a payment and its return. It is proven under any asset that
//! some route takes; of an asset that no route takes any more nothing can be proven: 402.
//!
//! # What was settled before the upstream was asked is owed
//!
//! The debt is written before the settlement and counts only while the ledger calls the payment
//! settled. It is collected by one exchange at a time, ten times at most, on the route it was made
//! on, within `answers.age`; a good head ends it before its first byte goes out. An upstream's 4xx
//! is passed on with the receipt and leaves the debt standing.
