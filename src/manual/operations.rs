//! Running it: what to watch, and what each sign means.
//!
//! # Signals
//!
//! SIGTERM and SIGINT stop it: `/readyz` says `stopping`, listeners close after `[server] drain`,
//! exchanges and settlements that run are finished within `[server] grace`, the ledger is flushed,
//! bundled workers end. `tollgate upgrade` has another process take over: see
//! [`upgrade`](super::upgrade).
//!
//! # A changed configuration
//!
//! `tollgate reload`, `SIGHUP` and, with `watch = "on"`, the file itself have a running gateway
//! read `gateway.toml` again: routes, prices, networks, facilitators, upstreams, limits and
//! certificates, with their secrets, are exchanged all at once; `watch` looks at the files of
//! certificates too, so that one that was renewed is shown to connections that begin within
//! seconds, at those of secrets, lists and documents, and at files of `include`, which may come,
//! change and go; what a refused file names may come after it. What runs goes on with what
//! it began with, streams and settlements too; no bucket is refilled where the rate stays, and no
//! circuit closed of a facilitator that is told the same. Payments for a price of before, or to
//! whom was paid before, are taken for `price_grace` more. Signers of our own that stay go on
//! with their numbers; what one that leaves has sent is followed to its end. What is read at the
//! start only (`[server]`, `[ledger]`, `[answers]`, `[traces]`, `[dashboard]`, `.simulated`, a
//! signer's `in_flight_max`, `limits.store`, bundled services) refuses the whole reload when it
//! has changed, and is named: `tollgate upgrade` takes it over.
//!
//! A file with a mistake changes nothing. `tollgate reload` prints the mistake and ends with 1, the
//! log has it too, and `tollgate_configuration_stale` is 1 until a reload succeeds: alert on it,
//! for the next start would fail.
//!
//! # Health
//!
//! `/livez` answers while the process runs. `/readyz` is 200 when every upstream has a backend that
//! can be asked and something can be sold: else 503 with one line for each reason. At the start it
//! waits until each route has a facilitator that says it settles what the route offers. The
//! ledger's database must have been writable when it was last written. Later a facilitator that is
//! away is a line behind `ready`, and 503 only when no route at all can be served without it: one
//! outage elsewhere must not take down what does not need it.
//!
//! # Certificates that an authority issues
//!
//! With `[acme]` a certificate is ordered at the start and renewed in time; `tollgate check` prints
//! what for. `tollgate_certificate_due_seconds` in the past: the last order came to nothing. Why is
//! in `/readyz` and in the log (`no certificate was issued`); what the authority saw in the place
//! of the gateway is told as it tells it. Port 443 of each name must lead to `listen`, port 80 to
//! `http` for `http-01`, from everywhere; a proxy that ends TLS in front swallows `tls-alpn-01`.
//! It is ordered again after 2 minutes, then ever later, five times an hour at most: mend the cause
//! and `tollgate reload`. Try with `https://acme-staging-v02.api.letsencrypt.org/directory` first.
//! Keep the storage, which is its owner's alone: it has the account and the key. Of several
//! gateways only the one that orders can answer the authority: see the decisions on replicas.
//! Beside `[[certificates]]` a reload takes `[acme]` up, and leaves it off again; another
//! `acme.http`, and TLS where there was none, need `tollgate upgrade`.
//!
//! # Backends that are out
//!
//! `tollgate_upstream_backends{upstream, state}` counts the addresses of an upstream, those of each
//! of its names; names are looked up every 30 seconds. `up`: they get requests. `resting`: a
//! connection to them could not be opened, so the others are asked first. A rest takes a second and
//! is doubled up to thirty; then one request tries, and goes to another backend if it fails. Where
//! all rest they are asked all the same. `failed`: with `health`, their check does not pass, and
//! they get nothing; when all fail, requests get 503 `upstream_away`, nothing is taken, and
//! `/readyz` is 503. One look that fails takes out a backend that has never been looked at.
//!
//! The log names the address and says why. `Connection refused` of all: nothing runs there.
//! `InvalidCertificate`: `tls.ca` is not who vouches for it, or `tls.server_name` is not its name.
//! A `HTTPStatus` is what `health.path` was answered. A dual-stack name such as `localhost` has two
//! addresses: if a server listens on one of them, the other rests for good. Write the address then.
//!
//! A request whose connection could not be opened goes to up to two more backends, paid or not:
//! nothing was sent, and its payment is held meanwhile. So three times `connect_timeout` may pass
//! before it fails. What was sent and broke off is sent once more only where the method has no
//! effect, the connection was an old one and no money has moved.
//!
//! `balance = "hash-payer"` keeps a payer with its backend for the sake of caches; it is no
//! promise: a backend that is out has its payers elsewhere. Each gateway counts and rests for
//! itself, and all replicas hash alike.
//!
//! # The dashboard
//!
//! With `[dashboard] token` the admin listener shows a page at `/dashboard` to whoever gives the
//! token as a password (any user name) or as a bearer's. The money is the ledger's, of all gateways
//! that share it; outcomes, times and health are those of the process that answers. Payments that
//! are older than a minute and not over stand first: look into one with `tollgate ledger show`.
//! Past hours are read again once an hour. Of a ledger with more than 500,000 payments in the time
//! that is shown, the newest are. Where the admin listener is reached from elsewhere, put TLS in
//! front of it: it has none of its own.
//!
//! # An open circuit
//!
//! `tollgate_facilitator_circuit{facilitator, question}` at 2: it failed five times in a row, or
//! sixteen of the last thirty-two times, to `verify` or to `settle`, and is not asked for now. At 1
//! its wait is over and the next payment tries it. The log has a line with `state` for each change,
//! and why under `it did not verify`. The wait is a second at first, doubled up to a minute;
//! `/supported` is asked before a payment is risked.
//!
//! While a network has another facilitator whose circuits are closed, nobody notices. With none,
//! payers get 503 `facilitator_unavailable` with a `Retry-After`; nothing is taken and nothing is
//! lost. Look at the facilitator's own status page, or at `tollgate check --online`. 401 or 403 in
//! the fault: its key has expired. 429: it wants fewer requests, so name a second one.
//!
//! # Payments whose outcome is unknown
//!
//! `tollgate_payments_unknown` above zero: a facilitator took a payment and did not say what became
//! of it. The payer gets 503 with the transaction, if one was named, and is never asked again for
//! the same payment, nor is another facilitator asked to settle it. A few after an outage are what
//! the circuit did not spare; a number that grows is a facilitator that takes orders and loses
//! them: put another one before it in `facilitator = [...]`. The simulated chain is looked up every
//! few seconds. For a hosted facilitator look the payment up by hand: `tollgate ledger list` names
//! payer, nonce and transaction; the asset's `authorizationState(payer, nonce)` on a block explorer
//! says whether it was used, and the event of its use for what. A payer who uses or cancels its own
//! authorization between verify and settle makes one of these, too, and pays for gas to do so.
//! With Permit2 so does a payer whose account or allowance is empty by then, unless the network has
//! `rpc`: give it one.
//!
//! Where the gateway settles by itself, or the network has `rpc`, the chain is looked at every few
//! seconds: the named transaction, the authorization's state, the event of its use. A payment whose
//! window has closed unused in a block that stays is released.
//!
//! Permit2 keeps its numbers itself, for every asset: `nonceBitmap(payer, nonce >> 8)` there, bit
//! `nonce & 255`; `asset` in `ledger list --json` is what was paid with, `contract` is Permit2.
//!
//! # Solana: 503 before the first payment, and who pays the fees
//!
//! A route that can be paid on Solana alone answers 503 `facilitator_unavailable` until its
//! facilitator has said in `/supported` who pays the fees (`kinds[].extra.feePayer`); a route with
//! other networks leaves Solana out of its 402 so long. `/readyz` says `/supported does not list
//! what the routes offer` where it lists the network and no fee payer. When it names another one,
//! the 402 follows within a second of the next look, and payments for the one before are taken for
//! five minutes. `invalid_exact_svm_fee_payer_mismatch` after that: a client that keeps 402s.
//!
//! A payment on Solana must settle within about a minute of being signed. Where upstreams take
//! longer than half of that, payers are told `…_transaction_simulation_failed` after the answer was
//! made, and nobody is charged: use `settle = "before-upstream"` there.
//!
//! A payment of unknown outcome has no number to ask for: look for the transaction of the payer's
//! token account, on an explorer, that pays `pay_to` the amount in the minutes after `claimed_ms`.
//! None there two minutes later: none will come.
//!
//! # Payers that are told `permit2_allowance_required`
//!
//! With `transfer_method = "permit2"` a payer must have approved Permit2 for the asset, once and at
//! its own cost, or the asset has EIP-2612 and `gas_sponsoring = "eip2612"` is set: an approval
//! then comes along and takes about 40,000 more gas. `the chain has no x402ExactPermit2Proxy` in a
//! fault: nobody has deployed it there; x402's `contracts/evm` says how.
//!
//! # Our own signers
//!
//! `/readyz` says `all signers are low on gas` when every signer has less than `gas.low`; one alone
//! shows in `tollgate_signer_balance_gwei` and is used last. Send it coins: nothing else helps.
//! `gas is too dear` in the log: the chain asks for more than eight ninths of `gas.fee_max`, and
//! payments get 503 until it is cheaper or the cap is raised; the last ninth is kept for outbidding
//! what holds up a nonce, so lower the cap only while no payment is under way.
//! `a transaction was replaced`: it was in no block for `replace_after`, and was sent again for an
//! eighth more. `a lost nonce is filled`: the chain, or an earlier life of the gateway, had left
//! one that held up all behind it; often: a node forgets transactions. `another program uses the
//! signer's key`:
//! give each gateway a signer of its own; two programs with one key take each other's nonces.
//! `tollgate_chain_nodes{state="down"}`: nodes that do not answer, are ten blocks behind, or are on
//! another chain; the others are asked instead.
//!
//! # Our own fee payer on Solana
//!
//! `the fee payer is low` in `/readyz`: it has less than `gas.low`; its lamports are in
//! `tollgate_signer_balance_gwei` as they are, a billionth of a SOL each. `the fee payer cannot pay
//! the fee`: what is left would be below the rent of its account. `whoever is paid has no token
//! account for the asset`: open one for `pay_to`, nobody can be paid before. `a node has no history
//! for us`, `a node has forgotten the time of a payment`: outcomes cannot be looked up there; give
//! `rpc` a node that keeps transactions for as long as the gateway may be away. A payment that was
//! sent and lost is let go some two and a half minutes later, when no block can take it any more.
//!
//! # Faults by side
//!
//! `tollgate_faults_total{side}`: `upstream`, the API behind; `facilitator`, who settles; `chain`,
//! a node; `ledger`, the disk; `ours`, a bug. The log line of the exchange carries the chain of
//! causes in `fault`.
//!
//! # Memory
//!
//! Some 90 KiB for each paid exchange in flight. Where the system gives huge pages to everybody
//! (`/sys/kernel/mm/transparent_hugepage/enabled` says `[always]`), set `MIMALLOC_ALLOW_THP=0`:
//! else it is twice that. `MIMALLOC_PURGE_DELAY=0`, which the image has, gives back at once what
//! is freed: 13 MB less of 105 with 1,000 in flight, for some 5 % more of a core. The background
//! remover keeps what is freed for 0.3 seconds (`MIMALLOC_PURGE_DELAY=300`, where it is bundled and
//! in its image, unless you say otherwise): some 10 % more images for as much more memory. It goes
//! back when something is freed after that, so what the last image took may stay until the next.
//!
//! # gRPC
//!
//! The log has the HTTP status, which is 200 for a call that failed, too: of a priced one `outcome`
//! says whether it was paid for. `timeout` is the longest pause of the upstream within a call, and
//! `client_timeout` the client's; a call that is silent for longer needs both raised. What a client
//! streams counts as one body: `body.max`, and at least 1 KiB a second until the upstream answers.
//!
//! # Lost log lines
//!
//! `tollgate_log_lines_dropped_total` grows when standard output is not read fast enough, and with
//! each line once it is closed. Requests are never delayed for the log. At its end a gateway waits
//! a second for the lines of its last exchanges to be read; a warning says how many were not.
//!
//! # Traces
//!
//! With `[traces]` each exchange is a span of a trace, with spans for `verify`, `reserve` in it,
//! the upstream and `settle`; the log has its `trace_id`. `tollgate_spans_total` grows by
//! `outcome="dropped"` when the collector does not take them: it is away for longer than four
//! tries, says no, or is too slow for what comes (2048 exchanges wait). Requests never wait for it.
//! The log says why when it begins, and when it is over. Too many: lower `sample`. At its end a
//! gateway sends what is left, for 3 seconds at most.
//!
//! # The ledger in SQLite
//!
//! One SQLite file in WAL mode, fully synchronous. One gateway at a time may open it; a second one
//! is told so and ends. Back it up with SQLite's own backup or by stopping the gateway. A file of
//! an older version is brought up to date at the start, and once written anew so that it can
//! shrink later: that takes its own length on the disk for a moment.
//!
//! # The ledger in PostgreSQL
//!
//! For several gateways at once; version 11 or later. `url = "postgres://USER@HOST/DB"` with,
//! behind `?`, `sslmode` (`verify-full` checks the server's certificate against the system's or
//! `sslrootcert`; without it an attacker on the way can change the books), `sslrootcert`,
//! `sslcert`, `sslkey`, `host` (a folder of sockets, too), `port`, `user`, `dbname`. The password
//! comes from `PGPASSWORD` or `.pgpass`, never from the file. The user needs `CREATE` on the schema
//! for the tables, which the first gateway makes. Connect directly or through a pooler in session
//! mode: each gateway holds one connection that writes, up to two that read, up to four for kept
//! answers, and now and then one more.
//!
//! Each start of a gateway is an instance with a lease of 10 seconds in the table `instances`, by
//! the server's clock, renewed every 2. What a gateway holds is its own while the lease lasts. When
//! one was killed, the others, or it itself after its start, let go of what it held when the lease
//! is over, and look for what it was settling; until then these payments are answered with 409 and
//! 503, both to be tried again. A gateway that ends in order leaves at once.
//!
//! Without the database nothing is paid: requests with a payment get 503 `ledger_unavailable`, and
//! `/readyz` says `PostgreSQL cannot be written` and why, within 5 seconds. A gateway that starts
//! waits 10 seconds for it. A commit whose answer was lost is looked for before anything else is
//! written. Synchronous commit is switched on for every gateway, whatever the server's default;
//! with a standby that must not lose payments either, set `synchronous_standby_names` there.
//!
//! # A ledger that lags
//!
//! `tollgate_ledger_lag_seconds` is the age of the oldest step of a payment that this gateway has
//! handed to its ledger and that is not written: a few milliseconds at work, 0 without work. Above
//! half a second its disk or its database stalls, or does not keep up with what comes. Payments
//! wait for it, up to 5 seconds, and then get 503 `ledger_unavailable`; nothing is lost, and
//! nothing is sold that is not written down. What had moved by then stays `settling` and what was
//! let go stays held until they can be written. Both are tried again, and a release that waits for
//! that counts for the lag.
//!
//! SQLite: look at the disk (`iostat -x`: `w_await`; it is full; a volume over the network) and for
//! whoever else holds the file, such as a backup that is no copy by SQLite's own. PostgreSQL: look
//! for locks and long transactions in `pg_stat_activity`, a standby in `synchronous_standby_names`
//! that does not confirm, and the way there: each commit is one round trip. One gateway alone: its
//! own network or a processor that is taken from it. All of them: the database.
//!
//! # Limits in Redis
//!
//! `[limits] store = "redis://HOST"` (Redis or Valkey, 5 or later; not a cluster): gateways take
//! from the same buckets, so that all of them let through what one would. A URL with a password is
//! a secret: `store = { env = "LIMITS_URL" }`. By `rediss://` the server's certificate is checked
//! against the system's. Its keys begin with `tollgate:` and end when their bucket is full;
//! gateways of two APIs on one Redis need two databases (`redis://HOST/1`). Nothing in it is worth
//! a backup, nothing has to outlive its restart; `maxmemory-policy volatile-ttl` fits. An ACL needs
//! `~tollgate:*`, `EVALSHA`, `SCRIPT LOAD`, `GET`, `SET`, `DEL` and `TIME`. In Kubernetes it needs
//! a way through the network policy, as PostgreSQL has (in the chart, `networkPolicy.upstreams`).
//!
//! `tollgate_limits_shared` at 0, `limits are this gateway's own` in the log, a line behind
//! `ready`: Redis does not answer, or not within `[limits] timeout` (50 ms). Nobody is refused for
//! that and `/readyz` stays 200: each gateway counts for itself and lets its part through, `rate`
//! divided by `replicas`, from full buckets. Set `replicas` to how many gateways there are at most.
//! Who waits in vain waits once, for all others: Redis is tried beside the requests, after 250 ms,
//! then twice as long each time, up to 8 s; `limits are shared with other gateways again` is its
//! return. `tollgate check --online` asks it now.
//!
//! # Who is turned away
//!
//! `[block]`: addresses are answered 403 `address_blocked` before anything else is looked at, on
//! free routes and documents too; payments of a payer 403 `payer_blocked`, before anybody is asked
//! to verify them, and count as refused. What a payer has bought before stays the payer's to fetch.
//! `addresses_file` and `payers_file` have one to a line and are read with the file: `tollgate
//! reload` takes a changed list over, and so does `watch = "on"`. Of networks behind a proxy
//! nobody can be told apart without `trusted_proxies`.
//!
//! # What is free at first
//!
//! `free = { rate = "10/day", by = "ip" }` on a route, or for all priced routes under `[defaults]`:
//! so many requests of each address pass without payment, ten at once and then one more each tenth
//! of a day; then it is 402 as always. In the log and in `tollgate_exchanges_total` they are
//! `free_first`; the upstream sees `X-Tollgate-Free: first`. With `[limits] store` all gateways
//! count them together. An IPv6 network of 64 bits is one address, and one person may have many:
//! price what is free by what a thousand of them would cost.
//!
//! A wallet that signs in (`sign_in` on a route) is `signed_in` there, and the log names it under
//! the same word. The upstream sees `X-Tollgate-Free: signed-in` and who it is. Who is refused is
//! told why in `reason`. To shut one wallet out, put it into `[block] payers`; to shut all out,
//! take `sign_in` off and reload; the first `sign_in` of a gateway takes `tollgate upgrade` or a
//! restart, which indexes its ledger. A route that gets another `name` knows none of its payers.
//!
//! # Looking into the ledger
//!
//! All of these may run beside gateways, and change nothing. Moments are typed as `2026-11-21`,
//! `2026-11-21T09:30:00Z`, or how long ago: `90m`, `24h`, `7d`.
//!
//! | command | what |
//! |---|---|
//! | `tollgate ledger list` | the last payments; `--help` says how to choose some |
//! | `tollgate ledger show PAYMENT` | one, by exchange or identity, with its history |
//! | `tollgate ledger export --format csv` | all or some; `json` is one object a line |
//! | `tollgate ledger summary --by day,route` | what has moved, by network and asset too |
//! | `tollgate ledger reconcile` | each payment looked up; exit code 1 for a difference |
//!
//! `reconcile` tells three kinds: `not_moved`, the ledger has it settled and the chain does not;
//! `moved`, the chain has it and the ledger does not have it settled; `other_transaction`. What
//! changed after it began is left for the next time. A facilitator that cannot look payments up
//! leaves them in the count `could not be looked up`.
//!
//! # How long payments are kept
//!
//! `[ledger] keep`, 400 days by default: settled payments are deleted so long after their end, and
//! never before a day after their authorization has ended, so that none can be used twice. What was
//! refused or released did not move: it is deleted after a day, however long its payer has made its
//! window, so run `reconcile` once a day. What is under way or unknown stays. Export before, or
//! write `"forever"`, which deletes nothing.
//! Every ten minutes old payments are looked at, five hundred in a transaction; SQLite then gives
//! the pages back to the system, PostgreSQL to its autovacuum.
//!
//! # Kept answers
//!
//! Answers that were paid for are kept for `[answers] age`: beside a ledger's file in
//! `LEDGER.answers`, readable by the gateway's user only; in PostgreSQL in the tables `answers`,
//! `debts` and `names` (what payers call what they buy), readable by whoever may read the database,
//! and found by every gateway on it. Either may be emptied while no gateway runs: payers who come
//! back then hear 409 with their transaction in place of their answer, debts of
//! `settle = "before-upstream"` are forgotten, and what had a name is sold again.
//!
//! `tollgate_answers_bytes` is what all gateways on the database keep, as counted last: each counts
//! every 15 seconds, and when it alone has kept a sixteenth of `total`. All should have the same
//! `[answers]`: the smallest `total` counts for all. When a gateway was killed, what it still owed
//! is given by the others once its lease is over; where it was giving an answer, the upstream is
//! asked once more when the payer comes back.
//!
//! `tollgate_answers_total{outcome}`: `whole` are kept; `too_long` beyond `max`; `no_room` when
//! `memory` was used up: raise it; `broken_off` by the upstream or an HTTP/2 client; `part` answers
//! with 206. The file does not shrink below what it once needed.
//!
//! # Answers before payment
//! A route with `risk = "$1.00"` answers a payer whose payment is verified before it is settled, as
//! long as what the payer has not paid for yet comes to no more on that network. The settlement
//! runs behind the answer, which has no receipt; the same payment, sent again, gets answer and
//! receipt once it is settled. In the log such an exchange is `at_risk`.
//!
//! `tollgate_lost_amount_total` rises: somebody was served whose payment did not settle, the log
//! says who (`an answer was given and its payment did not settle`). One payer can cost the risk
//! once a day, in each gateway; anybody can be many payers, so leave `risk` away where an answer is
//! worth the trouble. A gateway that is killed loses what it was about to settle, and does not
//! count it.
//!
//! # Prices by usage
//!
//! `tollgate_usage_unread_total` rises: whole answers do not say at `from` how much was used, and
//! cost nothing or `max`, as `missing` says; the log has the exchange. Servers that speak as
//! OpenAI's do say it in a stream only where the request has `stream_options.include_usage`.
//! `tollgate_lost_amount_total` counts streams whose payment did not settle behind them: between
//! the look before the answer and its end, a payer can empty its account. In the log a stream is
//! `at_risk`, with the amount that was used.
//!
//! Such a route answers 503 `facilitator_unavailable` until its facilitator has said in
//! `/supported` from which address it settles (`kinds[].extra.facilitatorAddress` of scheme
//! `upto`); payers sign for that one. A signer of our own that leaves `signer` takes the payments
//! with it that were signed for it: let them end first. `the chain has no x402UptoPermit2Proxy` in
//! a fault: it is not deployed there, and `check --online` says so.
//!
//! # Bounds of the background remover
//! `tollgate worker background-removal` decodes nothing before the header's sides, the kind of file
//! and its end are known. What an image will take is predicted from its header and taken from
//! `--memory` (2000 MB); who needs more than is left waits, and the largest photo (10,000 × 10,000)
//! fits. `--queue` images wait, one more is answered 503 with `Retry-After`, and so is one that is
//! not done `--deadline` (50 s) after its last byte. An image whose client has gone is given up
//! before its next stage. A finished file takes its own length of `--memory` until it is read, and
//! a connection on which nothing is read for a minute ends.
//!
//! The limit of its container is `--memory`, 25 MB for each of `--queue` and 200 MB for the worker
//! itself. A photo that needs more than `--memory` gets all of it and works alone, and takes what
//! it needs: 1600 MB is enough for every photo, and with less the log says so at the start.
//!
//! With a model each image takes besides what the model took when it was tried at the start; the
//! log says how much. Where that alone is more than `--memory` (`memory` of a bundled worker's
//! upstream), images work one at a time whatever `--parallel` says, so give it more. The alert
//! TollgateWorkerFull means that photos were turned away for ten minutes:
//! `tollgate_worker_stage_seconds` tells which stage is long, `tollgate_worker_memory_bytes`
//! whether memory is what they wait for. The image of `deploy/Dockerfile` has what ONNX Runtime is
//! linked with, but not ONNX Runtime, so rten runs models there, in twice the time, until the
//! library is mounted and `ORT_DYLIB_PATH` says where.
