//! Decisions on routes that another proxy forwards and asks about before, and why.
//!
//! # A listener of its own, and the routes of one side are not on the other
//!
//! What a proxy asks about stands in headers, and a client can send any of them. So they are read
//! on the listener `[check]` alone, from addresses of `trusted_proxies` alone, which may not be
//! empty there; on `listen` nobody looks at them. A route with `mode = "check"` has no upstream and
//! is no route of `listen`; one with an upstream is none of `[check]`: a free route that is
//! forwarded here must not open the same path behind the proxy, nor the other way round. A key of
//! `listen` itself, or a path prefix on it, would have left the decision to whoever writes the
//! proxy's rules.
//!
//! # `asked_by` names the proxy, and nothing is guessed
//!
//! nginx is told to write `X-Original-*`, Traefik and Caddy write `X-Forwarded-*`, Envoy asks with
//! the request itself. Each overwrites its own names and hands its client's others on. Whoever
//! reads whichever is there believes a client's `X-Original-URL` behind Traefik. So one form is
//! read, each header once. What stands between `://` and the path must be a host letter by letter:
//! nginx takes `Host: a?`, and `http://a?/paid` would be `/` with a query.
//!
//! # What we would take off is refused
//!
//! In front of an upstream of ours `X-Tollgate-Payer`, `X-Rewrite-URL` and their like are taken off
//! a client's request. Here somebody else forwards it as it is, and an example that somebody
//! shortens would forget one: a question with such a header gets 400. Proofs of payment and
//! `X-Tollgate-Key` pass, and the examples take them off. Of `X-Original-URL` behind nginx only
//! nginx' own is seen: its example empties it for the API.
//!
//! # Settled before, and the 200 is what is bought
//!
//! A proxy asks once and does not come back to say how it went, so money moves before it forwards;
//! `tollgate check` says so for each such route. The machinery is that of `settle =
//! "before-upstream"`: a debt is written before the money moves and paid off when the 200 is about
//! to be written. So a gateway that dies between the two, or a settlement of which nobody knew for
//! a while, lets the payer pass once when it comes back, and nothing it has let pass comes again:
//! 409 `payment_used` with the transaction. If the 200 is lost on its way to the proxy, the payer
//! has paid for nothing; a window in which a payment passes twice would have been one for everyone.
//! An API that fails is paid all the same, and its answer is not here to be given again: whoever
//! needs these two promises lets tollgate forward, in the API's pod if need be. Where the payment
//! cannot be written down as spent, the request does not pass: the payer is told that it is owed,
//! and comes again.
//!
//! With SQLite the debts lie in the file of kept answers, whose last moment a power cut (not a
//! crash) may take back: a payment of that moment lets pass once more. PostgreSQL forgets nothing.
//!
//! # A body is never looked at
//!
//! Proxies ask without it, and those that can send it cut it off somewhere. Rules by `body`, a
//! document that describes one, `body` itself, and prices by usage are mistakes there.
//!
//! # nginx is given 401 and the answer in a header, and fetches it
//!
//! `auth_request` makes 500 of all statuses but 2xx, 401 and 403, and drops every body. Its
//! `error_page` could ask a second time for a real 402; but then two verdicts are made of one
//! request: a bad payment counts twice, and what failed the first time could be settled the second,
//! with nobody to forward it. So the one verdict is packed whole (status, headers, body) into
//! `X-Tollgate-Answer` and nginx brings it back to be written out. It is not signed: a client
//! cannot send it, nginx sets it anew, and one below 400 is refused, so that it opens nothing. It
//! has at most some 24 KB, which is why the examples have buffers of 32; a browser gets no page to
//! pay on, which would be longer. `return 402` for each status in nginx was the other way: fourteen
//! `if`s, and headers lost.
//!
//! # `OPTIONS` is answered 405 where a proxy asks
//!
//! Here a preflight is answered for the API. There every 2xx forwards it, and what the API says to
//! it is not known. Who wants browsers writes a route for it (`match = "OPTIONS /v1/*"`, free) or
//! lets the proxy answer.
//!
//! # What was tried, and what was not
//!
//! nginx, Caddy, Envoy and Traefik run in the tests with the files of `deploy/examples/check`.
//! Traefik is in no package and long to compile: `tests/run traefik` does it, and without it its
//! rows are skipped and say so. It is 3.6.12: of 3.7 a part is missing in what Go's registry has.
//! Three things are its own. It hands its client no header of a 2xx, only cookies, so the API is
//! told the receipt and may answer with it. It cleans a path before it asks (`//a` and `/%61` are
//! `/a`), and forwards what it has asked about. It waits thirty seconds and no longer.
//!
//! HAProxy has no way to ask without scripts: there tollgate is the server that it forwards to,
//! and the tests run that example too.
//!
//! # Envoy's `ext_proc` is an exchange like any other
//!
//! Envoy opens a stream of gRPC for each exchange, tells of the request's head, waits, forwards,
//! tells of the answer's head, waits, and hands it on. That is all that money needs: the request is
//! admitted by the code that admits every other, and the head of the answer is concluded by the
//! code that settles behind an upstream of ours. What differs stands between: what we would do to a
//! head is told as changes. So `settle`, `risk` and `timeout` mean there what they mean elsewhere,
//! a browser gets its page, a preflight and the documents for agents are answered, and what a
//! client may not say is taken off instead of refused.
//!
//! The stream is one of pingora's HTTP/2, on the listener `[check]`: the messages that are said
//! here are a page of `prost`, and gRPC is five bytes before each of them. `tonic` would have
//! brought a second server of HTTP/2 and its own listeners, the crates with all of Envoy's messages
//! minutes of compiling.
//!
//! Bodies go past us. One that Envoy is told to send is refused with what to change
//! (`processing_mode`), and so is `observability_mode`, where nothing waits: the stream ends with
//! an error, and Envoy, which lets nothing pass on an error by default, answers 500. It is not
//! possible to see from here that somebody has set `failure_mode_allow`. A stream that breaks
//! before the answer is told of releases the payment: Envoy tells of answers of its own, 503 and
//! 504, too.
