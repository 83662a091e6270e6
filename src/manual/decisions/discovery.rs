//! Decisions on what agents and browsers find, and why.
//!
//! # The documents are served where no route has their path
//!
//! Whoever routes `/*` to an API expects to see that API's own `/openapi.json`. So a route goes
//! first, `check` says which of the three paths are hidden, and `serve = "always"` turns it round.
//!
//! # What several documents call the same is told apart by the second one's number
//!
//! Components of the first document keep their names, those of the next get `doc2_` before theirs.
//! References are changed with them; one that leads to a part without a name of its own is put in
//! place. Who may call (`security`), who is called back and where it is served are the gateway's to
//! say and left out.
//!
//! # Every answer that the gateway gives by itself is in the document
//!
//! A client that is made from the document, and a test that looks for answers that are not in it,
//! meet 402, 409 or 503 all the same. Where the API's own document has the status too, its body is
//! either of both.
//!
//! # `x-payment-info` has a price in dollars and no recipient
//!
//! Crawlers read `price.mode` (`fixed` or `dynamic`), `amount` or `min` and `max`, and `protocols`.
//! Whom to pay and in which asset is the 402's to say: what is signed must be the terms of now.
//!
//! # `bazaar` is left out where there is no room for it
//!
//! Clients and proxies read 8 KiB of a header. Schemas of more than 1.5 KiB and examples of more
//! than half of one are replaced by anything; a 402 that is still too long is sent without. A route
//! with several methods declares nothing: the 402 is the same for all of them, and the extension
//! names one.
//!
//! # Whoever settles gets resource and `bazaar` from us
//!
//! Catalogues are filled by facilitators out of the payments that they settle. A client echoes
//! both, or not, or changes them; so they are never taken from the client: a payment that is sent
//! on carries the route's own.
//!
//! # The page is for whoever opens a URL
//!
//! Browsers name `text/html` when they open a URL; scripts, SDKs and `curl` do not. Only `GET` and
//! only a request without payment is answered with it, with the same status and header as everybody
//! gets. Its script and style are constants, so the policy names them by digest and allows nothing
//! else, and the 402 of a fixed path is made once, as for programs. What was signed is kept in the
//! tab until its outcome is known: a reload sends the same payment again, never another.
//!
//! # The documents are made beside the requests
//!
//! They take 40 µs for each route, two fifths of a start with a thousand of them, and nobody asks
//! for them in its first moments. So a start does not wait; whoever asks before they are there
//! waits for them, on the one thread that serves it. A reload makes them before it exchanges
//! anything.
