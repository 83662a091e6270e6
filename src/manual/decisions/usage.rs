//! Decisions on prices by usage, which are paid by the scheme `upto`.
//!
//! # Such an exchange is carried out by ourselves, not by pingora's proxy
//!
//! pingora's hook for an answer's body cannot wait, and the head has gone out before it: an
//! answer could neither be held until it is settled nor carry its receipt. So
//! `proxy/metered.rs` asks the upstream over a connection of its own (pingora's client, no
//! second one) and passes on what it reads. An answer that is not a stream is held back, up to
//! 1 MiB, until it is settled: no charge, no answer, and the receipt is in `PAYMENT-RESPONSE`.
//! Events and lines pass one by one, and are settled behind their end in a task of their own;
//! the same payment, sent again, gets the kept answer with its receipt. So does an answer above
//! 1 MiB. What it costs: a connection for each such request, which is never used again, so that
//! nothing is ever sent twice; no upgrade; no trailers, so no gRPC; and `Accept-Encoding:
//! identity`, because what is packed cannot be read on its way.
//!
//! # A payer owes one answer at a time
//!
//! A stream goes out before its money has moved, and a balance that is there for one payment is
//! there for a thousand permits that are verified at once. So what is passed on is a `risk` as that
//! of other routes is, `max` of one answer where the route does not say more: the stream of a payer
//! who owes as much is held back until it is settled, and one above 1 MiB is 429
//! `others_unsettled`, charged nothing. Who takes its money away while a stream runs has had that
//! one for nothing, and for a day gets everything else only settled.
//!
//! # The usage is read in constant memory
//!
//! A scanner of JSON looks at each byte once and keeps the length of one key and one number, so
//! an answer without end needs no memory. Keys are compared as written: one with escapes is no
//! other's. Of two the last counts, `null` is nothing, a document that does not end says
//! nothing. Numbers may have decimals and exponents, up to 30 digits; the arithmetic is whole
//! numbers, rounded up, and never above what was signed. A rate must fit the asset's decimals;
//! if it does not, write it for more units.
//!
//! # What an upstream names counts before what it says
//!
//! `Settlement-Overrides` is honoured as the published servers do, with units, percent or
//! dollars, on routes with a price by usage; rounded up and capped, where they round down and
//! do not cap. It is stripped from every answer, and from every request. One that cannot be
//! read is not passed over for the body: the answer then counts as one that does not say what
//! it costs.
//!
//! # What costs what
//!
//! | what happens | what is paid |
//! |---|---|
//! | a whole answer says its usage | that, at most `max` |
//! | it says 0 | nothing: nobody is asked, the payment is released and may be used again |
//! | it does not say it, or no number | `missing`: nothing, or all of `max`; counted and logged |
//! | its client has left | it is read on, for ten minutes at most, and costs the same |
//! | it was given up after those | what it has said so far, else `missing` |
//! | it broke off, and was held back | nothing; 502 |
//! | it broke off after its head | what it has said so far, else nothing |
//! | it went on for longer than the payment is good | as one that broke off |
//! | the upstream's head was not good | nothing |
//!
//! Who leaves cannot save anything by it, because what an answer of a model costs stands in its
//! last event. What an upstream says that broke off is what it had used by then; that it said
//! nothing is its own failure, and no key makes a payer pay for that.
//!
//! # What was used is written down before anybody is asked to move it
//!
//! The row of a payment keeps what was reserved in `amount`; the step to `settling` writes what
//! is to be moved to `moves`, and everything after it (a look at the chain, recovery,
//! `reconcile`, the receipt of one that comes again) goes by that. A crash before that step
//! lets the payment go: what was used is then nowhere, and a guess would charge for it. A crash
//! behind it is a settlement that was cut off, like any other.
//!
//! # `upto` on any EVM network, and always the same signer
//!
//! The scheme is Permit2's alone, so a price by usage is offered that way whatever
//! `transfer_method` says of other prices; Solana has none, and `check` refuses it. x402's
//! proxy for it takes a settlement from the address that the payer has signed for and from no
//! other, so such a payment goes alone, never through Multicall3, and from the first of our
//! signers, which the 402 names. A wallet that is not there yet cannot pay so: it could only be
//! deployed in the same transaction. Who settles is learned as Solana's fee payers are: from
//! `/supported`, told again when it changes, and the one before is honoured for five minutes.
//!
//! # What was left
//!
//! `settle` means nothing beside such a price and is refused: it is settled at the end. The page
//! for browsers says the price and does not sign for it.
