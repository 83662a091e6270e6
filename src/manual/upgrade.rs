//! Another version, another configuration, another machine: what loses no request.
//!
//! `tollgate reload` takes over routes, prices, networks, facilitators, our own signers, limits and
//! certificates, and nobody waits. `tollgate upgrade` takes over everything, the binary too, on one
//! machine; nobody waits but with SQLite or own signers, where those do who connect meanwhile. Of
//! several gateways behind a balancer one is ended with SIGTERM when another is ready, and nobody
//! waits. The only gateway of a container is replaced by a rollout with `Recreate`, and for a
//! moment connections are refused.
//!
//! # How connections end
//!
//! However a gateway ends, it tells before it closes. From the first moment each answer of HTTP/1
//! says `Connection: close`, HTTP/2 gets its GOAWAY, and `/readyz` says `stopping`. New connections
//! are accepted for `[server] drain`; then the listeners close. A connection on which nothing runs
//! stays open for five seconds more, because its client may just be sending; then it is closed, as
//! after `keepalive`. Exchanges, streams and settlements have `[server] grace` from the close of
//! the listeners. What is left then is cut off, and recovered by whoever opens the ledger next. On
//! SIGINT, which is what a terminal sends, nobody waits for connections on which nothing runs.
//!
//! # `tollgate upgrade`
//!
//! The running gateway starts the program anew, from the path by which it was started itself, with
//! its own environment and outputs, and gives it its listeners. A file that was put in its place,
//! or to which a link now leads, is what is started. The successor reads `gateway.toml` from its
//! start: `[server]`, `[ledger]`, `[answers]`, `[check]`, all of it.
//! Listeners whose address is the same are taken over, with the connections that wait in them;
//! others are bound anew. What it cannot do the command prints, exit code 1, and the gateway goes
//! on as if nothing had been: a mistake in the file, an address that is taken, a ledger that
//! cannot be opened.
//!
//! **With PostgreSQL and hosted facilitators** both run side by side. The successor takes
//! connections as soon as `/readyz` would say `ready`; if it does not within 200 seconds it is
//! ended. The command says `process 12 serves, process 7 finishes what runs`, and the former goes
//! on until its last stream has ended, or its `grace` is over.
//!
//! **With SQLite, or a signer of our own on an EVM chain,** two at once would both write the ledger
//! or use the same numbers. So the successor binds and checks what it can, and waits. The other one
//! tells its clients for five seconds, while it serves on; then it accepts no more, finishes what
//! runs, closes the ledger and ends, and only then the successor opens it. Whoever connects in
//! between waits in the listener's queue and is served: no request fails, and the wait is as long
//! as the longest exchange, at most `grace`. Streams that last for minutes are a reason for
//! PostgreSQL, or for a short `grace`. Once the ledger is closed there is no way back: a successor
//! that then does not start leaves nobody, and whoever supervises starts one.
//!
//! The successor knows what is in the ledger, Redis and the file. What a process alone knows it
//! does not: buckets of limits without Redis are full again, circuits are closed, `risk` counts
//! from nothing, and prices of before, for which `price_grace` would take payments, are forgotten.
//! Counters begin at 0 as after a restart, and the last exchanges of the one before are in its log
//! only. A bundled worker is started beside the old one, so for a moment there are two.
//! A certificate that is being ordered then is ordered again: its authority may have been answered
//! by the other one.
//! `ledger.url = "memory:"` cannot be handed over. Process 1 of a container refuses, because a
//! container ends with its first process; so does one whose first process is a small init that
//! waits for the gateway. Start another container.
//!
//! # Under systemd
//!
//! `deploy/systemd/tollgate.service` is a unit for it. The gateway says when it is ready and which
//! process goes on (`Type=notify`), so `systemctl status` follows it, `systemctl reload` is
//! `tollgate reload`, and `tollgate upgrade` after the package was exchanged loses nothing, as
//! `systemctl restart` would. `KillMode=mixed` lets workers finish; `TimeoutStopSec` is longer than
//! `drain` and `grace`. The successor has the environment of the process that starts it: for
//! another one, restart.
//!
//! # Behind a balancer
//!
//! A balancer must hear of the end before the listeners close. Either it is told first and SIGTERM
//! comes later, as `preStop` does in Kubernetes; or `drain` is longer than its looks at `/readyz`
//! take to notice, as with balancers that know nothing of the process. Kubernetes before 1.30 has
//! no `preStop.sleep`, and the image no shell: there `drain = "10s"` does the same. Both together
//! with `grace` must fit into `terminationGracePeriodSeconds`.
