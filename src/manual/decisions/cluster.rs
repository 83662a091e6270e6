//! Decisions on settlement on Solana by our own fee payer, and why.
//!
//! # Nodes are shown a payment without our signature until it is sent
//!
//! A node that is only to try a transaction could send one that is signed by all. So it is tried as
//! the payer sent it, with `sigVerify` off; the payer's signature we have proven ourselves, and
//! ours is always good. Published facilitators sign first. It is tried before it is served and once
//! more before it is sent: what fails on the chain costs us its fee.
//!
//! # A transaction is named before it is sent
//!
//! Its name is the fee payer's signature. The payer has fixed the message, and Ed25519 has one
//! signature for a message and a key, so the ledger is told the name together with `settling`: a
//! power cut at any moment leaves a name to look for. Nothing is believed of a name alone, which
//! somebody else may have told: the transaction must have the message whose hash is the payment.
//! Where there is no name, or another's, the payer's transactions since the payment was first seen
//! are compared with it, a hundred at most.
//!
//! # It is sent again as it is, and never another in its place
//!
//! There is nothing to raise: price and block are the payer's. The same bytes can be executed once,
//! so they are sent again every `replace_after` while a node still takes the block that they name,
//! without the node's own trial and repetition (`skipPreflight`, `maxRetries: 0`): one place
//! decides. Whoever waited is told `unknown` after `settle_timeout`; the sending goes on.
//!
//! # What has not moved is proven by blocks and not by time
//!
//! A transaction is taken in the 150 blocks after the one that it names, and a cluster that stands
//! still makes none for hours. That a payment will never move is believed when 160 finalized blocks
//! were made at least a minute of the cluster's clock after the payment was first seen, and a node
//! that has seen the last of them, and whose history begins before the payment, knows neither its
//! name nor a transaction of its payer with that message. On a healthy cluster that is some two and
//! a half minutes. `isBlockhashValid` alone says the same of a block that a node has not seen yet.
//! A transaction that failed is a refusal once its block is finalized.
//!
//! # `confirmations` are commitments
//!
//! 0 is `processed`, 1 to 31 `confirmed`, 32 `finalized`. The default is `confirmed`: two thirds of
//! the stake have voted for the block, half a second later, and no such block was ever taken back.
//!
//! # One fee payer
//!
//! An offer names its fee payer, and there is no queue of numbers for which a second would help.
//! What one payment may cost it is bounded (`gas.max`, in lamports), because the scheme lets a
//! payer ask for 0.007 SOL of it.
//!
//! # A mint that keeps a part of each transfer is refused
//!
//! With Token-2022's transfer fee who is paid gets less than the amount that was checked. It is
//! seen in the mint itself with each payment, since a fee can be set later.
//!
//! # End-to-end tests have two nodes
//!
//! `tests/e2e/solana.mjs` is LiteSVM, whose runtime and programs are those of validators, from npm
//! in seconds, behind as much JSON-RPC as is asked for. `tests/e2e/surfnet` is surfpool's engine
//! with JSON-RPC of its own, which takes a quarter of an hour to compile: `tests/run` does that
//! once, at its end, and has the same tests ask it. What neither has is other nodes' opinions:
//! those are in `chain/svm/tests`.
