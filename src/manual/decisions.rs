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
//! `payment/outlive.rs` polls once on the request's task and makes a task of the rest, beside the
//! request's. A settlement that never waits costs nothing more; everything else survives the
//! client.
//! A task on another runtime cost 10 µs of waking threads for each of a payment's three writes. A
//! claim and a question to a facilitator need no task: both may be dropped.
//!
//! # Requests run on threads that share no work
//!
//! Each piece of work is some microseconds long, a signature thirty: stealing it costs more than it
//! brings. pingora's own threads without stealing take 5 % less. The ledger's writer, recovery and
//! what is tended now and then have a runtime of their own, which ends last.
//!
//! # What the targets of the bench were measured against
//!
//! The plan's targets are ratios to nginx's 402 and to one recovery. nginx took 7.2 µs for its 402
//! where they were set, and takes 4.7 to 5.0 here, at the same 7.2 µs for its static file; a
//! recovery took 36 to 38 µs and takes 31, with signatures that differ. In µs we are where the
//! prototype was: 10 to 11.5 for a 402 (11 there), 52 to 56 above the free route for a paid one (52
//! there). Of a 402's 10 µs, 5.3 are the kernel's for one `recv` and one `send`, more than all of
//! nginx's.
//! The ledger's cost is not reached: see the table in the README.
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
//! Without a model: saliency, GrabCut and a guided filter, because nothing may be downloaded and
//! the smallest network tried scored lower. `tests/bench/cutouts` prints its scores on the sample
//! photos.
//!
//! # Cut-outs are sRGB
//!
//! An ICC profile is used up: colours are converted to sRGB and the profile is left away, rather
//! than carried. So `background=%23ffffff` means one colour whatever camera took the photo, a mask
//! of ours and a model see the colours that people see, and no metadata comes back. Colours
//! outside of sRGB are lost. CMYK files are decoded to RGB by formula, their profile is not used.
//!
//! # A model is a file of the operator's
//!
//! Nothing is fetched and none is shipped. What a file does not say of itself stands in a manifest,
//! beside it or built in (`src/worker/segment/network/known.toml`); it is the model's own, so it
//! does not repeat in each `gateway.toml`, where `model` is a path. A model is compared with its
//! manifest and run once before the worker listens. The manifests follow rembg for the models that
//! it carries, else the authors' code; only that of u2netp was compared with rembg, on random
//! weights (`tests/e2e/cutouts.rs`).
//!
//! # Two engines for models
//!
//! ONNX Runtime is the fastest (twice rten on convolutions), but a C++ library of 20 MB that would
//! have to be downloaded to build; so it is loaded at run time where an operator has it. rten is
//! part of the binary and always there. Both are behind the feature `models`.
//!
//! As many images as cores with one thread each fill two cores better than one image with two
//! threads. Models of more than 150 MB take gigabytes for each image, and so work on one at a time.
//! What a run took when the model was tried is added to each image's prediction of memory.
//!
//! # What was asked for too late is not finished
//!
//! A photo that nobody waits for any more, because its client has gone or its deadline has passed,
//! is given up between two stages (decode, cut out, encode), never within one: a stage holds no
//! lock and takes seconds at worst.
//!
//! # What the line counter of `tests/tidy.rs` leaves out
//!
//! Literals that cannot be broken, and the tests of a file.
//!
//! # In PostgreSQL a gateway has one connection that writes
//!
//! While one statement is under way the next ones gather, so a commit is shared by all who wait,
//! and the order of one exchange's steps needs no lock. A round is one statement (claims and steps
//! in two `WITH` parts over `unnest`), which is one transaction and one round trip. More
//! connections would write more commits, not more payments.
//!
//! # An unknown commit is asked for by doing it again
//!
//! A claim carries the number of its exchange, which is used once, and a step that was taken is
//! taken again without a change. So after a lost connection the same round is written again: a line
//! that its own exchange holds was claimed by the attempt whose answer was lost. Before that, the
//! new connection takes an advisory lock that the old one holds as long as the server knows it, and
//! ends it; otherwise a claim could be written after its own release, and be held for ever.
//!
//! # A lease says which gateway lives, the state machine keeps the money safe
//!
//! Recovery releases what a dead gateway held. Whether one is dead is a lease by the database's
//! clock, because an advisory lock is lost with every connection and a name in the configuration is
//! copied with it. A lease can be wrong about a gateway that was cut off for ten seconds; therefore
//! recovery's step `Orphaned` starts from `held` only, in the same statement that looks: a gateway
//! that lives and has begun to settle keeps its payment, and one that comes too late is refused its
//! `settling`, before anything was sent. Being wrong costs an answer, never money.
//!
//! # Recovery goes round and round
//!
//! It looks at a thousand payments, then at the thousand behind them, so that payments whose
//! outcome cannot be found do not hide newer ones. In SQLite what was claimed before the file was
//! opened is an earlier life's; so payments beyond the first thousand are let go while serving
//! already.
//!
//! # A payment's past is a column
//!
//! `past` gets a word for each change in the statement that makes it: no second table to write, to
//! keep in step and to delete from. Two thousand characters are kept, some forty changes.
//!
//! # Payments are kept for 400 days, and forgotten by age of their end
//!
//! A year's books can be closed, and the file does not grow for ever. An entry is what makes a
//! payment unusable a second time, so it must outlive the authorization: one without an end is
//! never deleted, others not before a day after it. The deletion walks over the claims in their
//! order with a cursor; an index by age would cost every claim a write.
//!
//! # A summary is added up in the program
//!
//! Amounts have up to 128 bits, which SQLite's integers do not hold; both engines then need no
//! arithmetic. Different assets are never added.
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
//!
//! # What happens on a chain is simulated by code that is never deployed
//!
//! One `eth_call` runs `chain/evm/Probe.sol` as creation code: balance, authorization and the very
//! transfer are made in order at one block, with the gas of each. A wallet that is not deployed yet
//! is deployed in the simulation first (ERC-6492), and its contract is asked by the asset itself
//! (ERC-1271), so what is verified is what will be executed. A list of questions would answer from
//! several blocks and could not simulate one call after another.
//!
//! # Verified at `latest`, settled at `confirmations`, given up at `safe`
//!
//! `latest` refuses fewest good payments, and a wrong `yes` costs an answer, not money. A payment
//! is settled when its own events are in the receipt and its block is on the chain,
//! `confirmations` deep: 1 by default, because a rollup's sequencer does not take blocks back.
//! That a payment will never move is believed only of a block that stays (`safe`, or 64 below the
//! head) whose clock is past the end of its window.
//!
//! # The chain's clock decides, ours only warns
//!
//! The simulation runs at the last block's own time. Our clock is used before it, with five
//! seconds of skew, so that most mistakes cost no question.
//!
//! # Settlements wait five milliseconds for each other
//!
//! That is lost in any block time, and under load the wait is for a free signer anyway: while
//! sixteen transactions of each are in no block, payments gather and leave fifty at a time. One
//! fails without the others (`aggregate3` with failures allowed), and goes alone once more before
//! it is refused.
//!
//! # Code of others goes alone
//!
//! A payer's contract, or an account with delegated code (EIP-7702), may take any gas once it is on
//! the chain, and with it the gas of whoever shares its transaction. So do factories of ERC-6492.
//! They are called by Multicall3, which owns nothing, never by the signer itself.
//!
//! # An authorization that somebody else has used is not claimed
//!
//! Anyone may send a signed authorization. When ours is found used in a transaction that we did
//! not send, the money may be there, but another gateway with the same `pay_to` may have served for
//! it: the outcome is unknown, and recovery writes down what the chain says.
//!
//! # Our own transport under alloy's types
//!
//! alloy's provider brings its own HTTP client, polls receipts every seven seconds and has no
//! failover with health. A batch of JSON is small; what is signed and encoded is alloy's.
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
//! only then: an answer that is not kept, or has grown too long to be, is given up with its client.
//! HTTP/2 requests share a connection, so one that is taken back aborts as before.
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
//!
//! # A loss counts against its payer for a day
//! A `risk` that only bounded what runs at one moment would bound nothing: whoever empties an
//! account between verification and settlement could do so a hundred times an hour. So a settlement
//! that failed, or whose outcome is unknown, takes its amount from what its payer may owe for 24
//! hours.
//! Nobody waits for such a settlement, so one that nobody takes is tried again for five minutes,
//! which is less than recovery takes for abandoned. The answer has no `PAYMENT-RESPONSE`: one that
//! says `success` without a transaction would be believed.
//!
//! # A reload exchanges what has no memory
//! Routes, upstreams and limits are one snapshot behind one pointer, and an exchange keeps the one
//! that it began with. What a route took before is part of its terms, with the moment until which
//! it does: so routes know the clock's type, and no more of it. Facilitators with circuits, signers
//! with nonces, networks that the ledger's recovery reads by, and the ledger itself are not in the
//! snapshot: to exchange them under payments that run is to make two of what must be one. So a file
//! in which they differ is refused as a whole, with the sections named, instead of being taken over
//! in part.
//!
//! The operators' listener is not for the public, and asks for a header with `POST /reload` all the
//! same: a page in an operator's browser can send a plain `POST` to any address it can name.
