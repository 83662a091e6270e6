//! Decisions on payments on Solana: what a transaction must be, and who it is.
//!
//! # A payment is its message
//!
//! What a payer signs on Solana is the message of a transaction: everything but the signatures. Its
//! SHA-256 is the payment's number in the ledger, with the mint and the payer beside it, which the
//! message says too. The fee payer's signature changes nothing of it, and an Ed25519 signature that
//! is judged strictly has no twin. A chain takes a message once as long as the block that it names
//! is young, and never after that.
//!
//! # Transactions are read by code of our own
//!
//! 200 lines read all that there is: each number in its shortest spelling, nothing behind the end,
//! no version but 0, no account twice, no place beyond the list. So what was read is, byte for
//! byte, what is written again, and what we have judged is what the fee payer signs. Of the
//! `solana-*` crates only the addresses are used; their transactions bring a serializer of their
//! own and read a message in more versions than the scheme has. Signatures are judged by
//! `ed25519-dalek` and its `verify_strict`, which is what validators run: ring takes keys of small
//! order, under which anybody can sign.
//!
//! # Lookup tables are refused
//!
//! The accounts behind one are on the chain and may change. Nobody could tell whether the fee
//! payer's is among them. Published clients send none.
//!
//! # Two accounts sign, and the transfer has four accounts
//!
//! Each further signature costs the fee payer 5,000 lamports, so there is none but the payer's. A
//! transfer of a mint with a hook has more accounts, which a program of somebody else would use,
//! and a transfer by several signers has no single payer: both are `no_transfer_instruction`.
//!
//! # A wallet's guards may stand anywhere behind the transfer
//!
//! The scheme has a memo as the last of three. Solflare puts two Lighthouse instructions behind
//! what an SDK has made, and that ends with the memo; the published facilitators take any order,
//! and so do we. What they do is not read: a guard can only make a transaction fail.
//!
//! # It is void after two minutes, for what is forgotten
//!
//! A transaction names a block and no moment. It is void 150 blocks later: a minute where each slot
//! has its block, more where slots are skipped. In the ledger it ends 120 seconds after it was
//! first seen, which is also how long published facilitators remember a message. That number
//! decides only how long a settlement is tried again and when a line may be forgotten, a day later.
//! Whether money has moved or will is for the chain to say, by height.
//!
//! How old the block is that a payment names is not known here, so no payment is refused for being
//! old; one that has grown too old while its upstream answered fails to settle, and costs nothing.
//!
//! # The 402 is made anew when another account pays the fees
//!
//! A facilitator names the fee payer in `/supported`, and one with several keys names another each
//! time. So a route is kept as it is configured, and beside it as it is told: `/supported` is
//! looked at four times a second for another fee payer, and then the table of routes is exchanged
//! like at a reload. What was told before is taken for five minutes more, whatever `price_grace`
//! says. Before anyone is known, offers on Solana are left out, and a route with no other way to
//! pay answers 503. Of several facilitators the first that is ready is told, and only those who
//! name the same key settle: a transaction has one fee payer, so there is no other to turn to.
//!
//! # A memo of the operator's own is allowed and not advised
//!
//! The scheme lets an offer ask for one. Clients then leave out the random memo that tells two
//! payments of the same block apart, so one payer can pay the same price once per block.
//!
//! # A simulation that fails is taken at its word
//!
//! A facilitator that settles verifies first, and simulates. Published ones know each message for
//! two minutes and say `duplicate_settlement` before they simulate anything again. So where that
//! fails, nothing was sent: the payer's account is empty by now, or the block too old. Otherwise
//! any payer could leave payments behind whose outcome nobody can ever know.
//! `invalid_exact_svm_transaction_failed` says no such thing; it is an unknown outcome.
