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
//! again; the asset's contract takes each nonce once, whatever we believe. So these rows are
//! forgotten after a day whatever `keep` says: a payer without money makes them at will, and
//! chooses how long their windows are.
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
//! brings. pingora's own threads without stealing take 5 % less. Recovery and what is tended now
//! and then have a runtime of their own, the ledger has another, and both end last.
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
//! The whole table of 23 November 2026, of what the gateway's image has, misses more. A paid
//! request is 1.6 recoveries above a free one. The published middleware is 14 and 9 times dearer,
//! not 20, on Node 22. A thousand connections that wait 350 ms each could take 2,857 payments a
//! second and take 2,244: the two cores are shared with a client, a facilitator and an upstream. In
//! profiles what is left of a paid request beside its recovery is spread, with nothing above a
//! sixteenth.
//!
//! A start takes some 17 ms and 0.03 ms for each route. A third of the 17 is whom the system
//! trusts, here 280 files; each of pingora's two connectors read them for itself, on the way. It is
//! done once now, beside the configuration, and handed to them as a file in memory, which is also
//! why a broken certificate there, or no store at all, does not end in pingora's panic. In the
//! image it is one file.
//!
//! # The images are made of Debian, and have nothing of it but libraries
//!
//! They were a static program of Alpine's musl on an empty file system. That cannot load ONNX
//! Runtime, which is twice as fast, it is another libc than the one that is developed, tested and
//! measured with, and nobody had ever built it. What the program is linked with is copied out of
//! the stage that builds it, four files, so there is still no shell and nothing to keep patched
//! but them: an image is built anew for that. glibc asks the DNS before /etc/hosts where nothing
//! says otherwise, hence `nsswitch.conf`.
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
//! sleeps its whole grace period; ours ends when nothing runs any more. How it hands over to
//! another process is in [`upgrade`].
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
//! rejections; every other refusal to settle leaves the outcome unknown. So does "used before": a
//! proxy between us that repeats an order whose answer was lost is told so of money that has moved.
//!
//! It may be told as well that the account is empty, the allowance is missing or the simulation
//! fails, which the first order has brought about; the published facilitator never looks at a
//! permit's number and says nothing else. With `rpc` the gateway looks at once: a number that is
//! unused and a balance that is too small are a refusal, anything else is unknown until the chain
//! tells. Without, an empty account is believed under EIP-3009, where published facilitators look
//! at the number first: two payments with the money for one cost a payer nothing, and each would be
//! one more whose outcome nobody can ever know.
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
//! Whatever happens once a facilitator has heard a payment may be that payment's doing: an odd one
//! makes it answer 500, a contract wallet lets it wait. Such a fault counts once for each payer
//! among the last thirty-two answers, so that it takes five payers to turn others away, and a payer
//! who is counted already does not keep a circuit open by failing its trial. What it does more
//! often opens a circuit of the payer's own, by the same rules, so that a facilitator that breaks
//! at a gateway with one customer is left alone as well; that one is in no metric. Connections that
//! cannot be made, and 401, 403, 404, 405, 415, 429, are nobody's doing and count each time. Five
//! keys cost nothing, so this stops accidents and idlers, not somebody who means it: for those
//! there are the limits, and a good answer to anybody closes the circuit again.
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
//! # The allocator leaves huge pages alone
//!
//! pingora reserves 64 KiB for each body it reads and hardly fills them. With huge pages each was
//! held whole: 170 KiB for an exchange in flight instead of 90. And it is mimalloc's second
//! version: the third keeps what was freed for a second, not for 10 ms, before the system has it
//! back, which was some 10 MB more under a load of 1,000 payments in flight.
//!
//! Those 64 KiB lie on what others freed, if the system has it not back by then, and count whole.
//! The image sets `MIMALLOC_PURGE_DELAY=0`: 92 instead of 105 MB for that load, and some 5 % more
//! of a core for a paid request. Elsewhere the operator chooses; a function that sets it for the
//! process would be unsafe code of ours.
//!
//! The background remover is the other way round: each image takes 50 MB of planes, and to get
//! them from the system anew was a tenth of its time. It keeps what is freed for 0.3 seconds. With
//! a whole second it was no faster, and memory did not come back between large images.
//!
//! # A facilitator's pause opens its circuit
//!
//! 429 and 503 with `Retry-After` in seconds: the question is not asked for that long, a second at
//! least, a minute at most, and payers are told the same. A date would need clocks that agree.
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
//! it does: so routes know the clock's type, and no more of it. Signers with nonces, simulated
//! chains with balances, and the ledger itself are not in the snapshot: to exchange them under
//! payments that run is to make two of what must be one. So a file in which they differ is refused
//! as a whole, with the sections named, instead of being taken over in part.
//!
//! # Hosted facilitators come and go with a reload
//! One that is told the same stays the same, with its circuits and what it said of itself: a reload
//! is no reason to ask again who has just failed. One that is told anything else is another, asked
//! what it settles before routes name it. Who is in the file no more is kept for exchanges that
//! began with it, and a chain that nobody reads any more is read on, for payments of before. A
//! facilitator that takes another's name has never had its orders: an order that was sent is known
//! to nobody but the chain, as it was.
//!
//! The operators' listener is not for the public, and asks for a header with `POST /reload` all the
//! same: a page in an operator's browser can send a plain `POST` to any address it can name. It is
//! heard from the gateway's own machine only, because in Kubernetes the listener is on all
//! addresses for its probes.
//!
//! # Who need not pay is asked before anything is known of a payment
//!
//! A key is looked for by its digest, every digest is compared, and no bucket is taken from: it is
//! the operator's own traffic. A payment that comes along is not touched, so it can be used
//! elsewhere. The key is not `Authorization`, which belongs to the API behind; all `X-Tollgate-*`
//! are taken off anyway. The answer is `no-store`: what others pay for is no shared cache's.
//!
//! # Certificates are a section of their own, and read with the file
//!
//! `[[certificates]]`, so that a reload may exchange them while `[server]` stays. A chain whose key
//! is another's is a mistake of the file, found by `check` and before anything is exchanged. Which
//! names a certificate is for is read from itself: a list beside it would be wrong one day. A
//! client that names none of them, or nothing, is shown the first: it refuses it, and its user
//! sees why. No plain listener is beside it unless `acme.http` asks for one: a 402 would go out in
//! the clear, and a redirect teaches clients to send payments there first.
//!
//! # A file that is included holds routes
//!
//! And nothing else. An upstream there could send the gateway's secrets anywhere (`headers = { a
//! = { env = "SIGNER_KEY" } }`) or open the operators' listener, a network could name another
//! payee, and who may write a team's prices is not who may do that. Its paths lead nowhere above
//! its folder for the same reason. A mistake in one file is one of the whole configuration: to
//! leave a file out would turn a slip in a price into 404s that nobody has asked for. `**` is not
//! taken, nor names that begin with a point, by which Kubernetes keeps what a mount was before.
//!
//! # SQLite's writer is rusqlite on a thread of the ledger's own
//!
//! In sqlx a connection is another thread, and a statement a message there and back. A round was
//! three messages and two statements of many rows, which SQLite first copies into a table of its
//! own: 59 µs for each payment. One prepared statement for each change, on the thread that waits
//! for the disk anyway, needs none of it. sqlx keeps the migrations, the readers and PostgreSQL,
//! and both are over one copy of SQLite.
//!
//! # A commit waits 500 µs for payments that are under way
//!
//! A commit costs the same for one change and for thirty. Whoever holds a payment will hand in its
//! next step, so while more are held than have handed in, waiting a little makes fewer commits; a
//! payer alone waits for nobody. A whole millisecond was tried, and halved what went through.
//!
//! # The answer waits until `settled` is on the disk
//!
//! It need not: `settling` is there, and recovery would read the chain. But behind a hosted
//! facilitator nobody can, and a process that is killed in that moment would turn a payment that
//! was settled and answered into one that a person must look up; and who comes back at once would
//! hear that nothing is known.
//!
//! # In SQLite hex is kept as bytes
//!
//! A row is half as long, its place in the index too, and so is what each change writes. It is a
//! migration of its own, because files of before exist. What reads turns bytes into text again, so
//! that rows of PostgreSQL and SQLite are read by one piece of code.

pub mod access;
pub mod acme;
pub mod answers;
pub mod backends;
pub mod chain;
pub mod check;
pub mod cluster;
pub mod dashboard;
pub mod discovery;
pub mod hostile;
pub mod prices;
pub mod sign_in;
pub mod solana;
pub mod streams;
pub mod traces;
pub mod upgrade;
pub mod usage;
pub mod worker;
