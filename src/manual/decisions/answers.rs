//! Decisions on answers that are kept and owed, and why.
//!
//! # Paid answers are kept in a file of their own
//!
//! `LEDGER.answers` beside the ledger's file. SQLite has one writer per file, and a megabyte of
//! somebody's answer must not stand before a claim. It is synced less strictly: a killed process
//! loses what was not yet handed over, a power cut the last moment. The ledger itself never depends
//! on it.
//!
//! With the ledger in PostgreSQL they lie in its database: what one gateway has given, another
//! finds. There they are written as durably as payments, because a server commits many gateways'
//! writes together. Ages and turns are by the server's clock.
//!
//! # Whether another gateway is still giving an answer is read from the ledger
//!
//! Nothing is written for an answer that begins: that would be one more write for each payment.
//! Where a settled payment has no line yet, and whoever claimed it is another gateway whose lease
//! lasts, the answer is taken to be under way, for as long as answers are kept.
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
//! # A payer's name for what it buys is bound after the claim and before anyone is asked
//!
//! `payment-identifier`. The payment is claimed first, then (payer, name) is bound to payment and
//! exchange, or found bound. Whoever finds another's payment there that is not let go or refused is
//! released, and answered with what became of the other: its answer for the same request, 409 for
//! another, 409 or 503 with `Retry-After` while it is under way. Whether the other one still counts
//! is read from the ledger, never from the name: a payment that was let go frees its name without a
//! further write. The name is taken over by compare-and-swap, so of many who see it free one has
//! it. Where only the chain proves the payer (ERC-1271), the name is bound after it has, because an
//! answer is given to nobody else. A name lasts for `answers.age` and the longest time that its
//! exchange may take; a debt under a name is given to whatever is signed under it, and a power cut
//! may lose the name of the last moment with the answer, where a file keeps them. The specification
//! speaks of the same payload; a client that signs anew must not pay twice for that.
//!
//! # A payment that the route would refuse now is looked up if its signature is good
//!
//! Prices and payees change between a payment and its return. It is proven under any asset that
//! some route takes; of an asset that no route takes any more nothing can be proven: 402.
//!
//! # What was settled before the upstream was asked is owed
//!
//! The debt is written before the settlement and counts only while the ledger calls the payment
//! settled. It is collected by one exchange at a time, ten times more at most, on the route it was
//! made on, within `answers.age`; a good head ends it before its first byte goes out. An upstream's
//! 4xx is passed on with the receipt and leaves the debt standing.
//!
//! Each time it is taken up it has a new number, and only the last number may end it: an exchange
//! that was so slow that another has taken its place, or whose gateway was taken for dead, does not
//! give a second answer.
//!
//! # A payment whose gateway ended before its answer was kept is owed one
//!
//! A killed process leaves a settled payment and no line of its answer, whether it was cut off
//! before the answer, in the middle of it, or a moment after. Nothing is written for that
//! beforehand but 32 bytes in the claim: the digest of payment and sender. When a payment comes
//! back, is settled since less than `answers.age`, has no line, and was claimed by a gateway that
//! has ended, it becomes a debt like any other. Someone may so be served twice for one payment,
//! once for each killed gateway, and whose answer had to go for lack of room once after each start;
//! nobody who paid is left without.
//!
//! # What was bought is given to whoever bought it
//!
//! Once settled, authorization and signature lie open on the chain, and most requests can be
//! guessed. So a kept answer, and one that is owed, belong to a sender as well: the payer's own
//! `payment-identifier`, else an `Idempotency-Key` of 16 characters or more, else the client's
//! address (for IPv6 its /64). A payer who has none of the three any more gets 409 with the
//! transaction. Behind a proxy that is not in `trusted_proxies` all clients have one address.
//!
//! # An outcome that was unknown leaves an answer owed
//!
//! Nobody has the upstream's answer any more when the chain says later that the money moved. The
//! payer, who was told not to pay again, gets one by asking again: the upstream is asked a second
//! time, and nothing is paid a second time.
