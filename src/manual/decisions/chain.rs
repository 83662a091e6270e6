//! Decisions on settlement by our own signers, and why.
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
//! `confirmations` deep. That is 1 on Base, because a rollup's sequencer does not take blocks back,
//! and 5 on Polygon, ten seconds, where blocks go away until validators agree on one, after five
//! seconds as a rule. Of any other chain nobody here knows, so a file that settles on one must say.
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
//! That is lost in any block time. The fewer of a signer's places are left (sixteen transactions in
//! no block), the longer a batch waits for company, up to seventeen times as long: places then last
//! for a block, and fewer transactions pay their base. When none is left, payments gather and leave
//! fifty at a time. One fails without the others (`aggregate3` with failures allowed), and goes
//! alone once more before it is refused.
//!
//! # Questions that come together go to a node together
//!
//! A thousand payments in flight were a thousand connections to a node, each with its buffers. At
//! most eight requests are under way to one node; what comes meanwhile leaves together, ten
//! questions in each, as many as public nodes take. A node that refuses batches is asked one by
//! one. Verifications are not put into one call: what one payment does would be seen by the next.
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
//! it: the outcome is unknown, and recovery writes down what the chain says. USDC says `expired`
//! and `paused` before it looks at that, so then the authorization's state is asked for. A payer
//! can do this to itself at will, so it says nothing of the chain and opens no circuit.
//!
//! # Our own transport under alloy's types
//!
//! alloy's provider brings its own HTTP client, polls receipts every seven seconds and has no
//! failover with health. A batch of JSON is small; what is signed and encoded is alloy's.
//!
//! # What a node's refusal of a transaction proves
//!
//! That it is nowhere, and its payments may be let go: only if every node that was asked has
//! refused it in words that mean so. A time-out or an internal error comes from nodes that have
//! taken it, and `nonce too low` from the second node when the first has taken it and its answer
//! was lost. Then it is followed like one that was taken, until the chain tells.
//!
//! # The height comes from the node that knows the block
//!
//! Two nodes may follow two branches. Counted from one's block to the other's head, a branch that
//! dies looks as deep as the one that lives. What is deep enough is told by one node in one answer.
//!
//! # A lost nonce is used up by a transaction that does nothing
//!
//! A block that is taken back, or an earlier life of the gateway whose transaction pays too little,
//! leaves a nonce that nobody sends again, and everything behind it waits for ever. The lowest of
//! what flies notices it after `replace_after` and fills it, at today's price and rising. Payments
//! that waited there are let go by recovery when their window has closed.
//!
//! # Our own settlement is simulated with the real code around a chain in the process
//!
//! The seam is the body that is posted to a node. Luck falls by what is asked, not in the order in
//! which tasks run, because tokio wakes those who wait for the next block at random: a seed repeats
//! its faults, and now and then not their order. With reorganizations deeper than `confirmations`
//! the chain may take back what was served: the checks excuse just those payments.
//!
//! # A signer has one lane in a process, whoever settles with it
//!
//! A reload may add signers, take some away, give one to another facilitator or send it to other
//! nodes, while transactions of before still wait for their block. Two counters of one signer's
//! numbers would give the same number twice, so the counter belongs to chain and address, and
//! lives for as long as anything of it is on its way. Who settled before ends what it has.
//!
//! # Both ways to move an asset are one authorization with two forms
//!
//! Payer, payee, amount, window and number are in both; only who is told differs, so that is the
//! closed enum (`Form`), and every rule but four lines is written once. The window's ends differ by
//! a second: EIP-3009's are outside, Permit2's inside. Version 1 has no words for Permit2, so its
//! offers are left out of the body of a 402, which may then list none. A method that fits no offer
//! is `invalid_payment_requirements`. Rules that both share keep EIP-3009's codes; only what is
//! Permit2's own has a code of its own, as in the published facilitators.
//!
//! # A permit's identity is Permit2's number, not the asset's
//!
//! Permit2 keeps one bitmap of numbers for each owner, whatever the asset: two permits with one
//! number are one payment, of which one can be settled. So the identity names Permit2 where it
//! names the asset under EIP-3009, and the asset is a column beside it (`token`; NULL where it is
//! the same, so that gateways of the version before can share the database meanwhile).
//!
//! # What has moved by Permit2 is told by the call, the transfer and the proxy's word
//!
//! Permit2 has no event that tells the number. In our own transaction a payment has moved when the
//! asset's `Transfer` stands right before the proxy's `Settled`, and two payments whose events
//! would be the same never share one. In any other transaction the arguments of `settle` must also
//! stand in its data. A number that is used in a block that stays, with no such transfer since the
//! payment was first seen, was spent on something else: the payment is released. A payer could sign
//! two payments alike, tell of both in one transaction of a contract of its own that settles one,
//! and use up the other's number elsewhere. So each transfer is counted for one of the payments
//! that the data tell of, in their order, as far as their numbers are used up; what goes beyond
//! that stays unknown, for nobody can say which of them was paid.
//!
//! # An approval is judged before anyone is asked, its number by the simulation
//!
//! With `gas_sponsoring` the 402 declares `eip2612GasSponsoring`, and what comes along must be the
//! payer's own signature for this asset, Permit2 and exactly the amount, as the proxy demands; it
//! is sent with `settleWithPermit` even if the allowance would do. Where nobody pays for approvals
//! it is an unknown extension and not looked at. Somebody may send the approval before us: the
//! proxy goes on when it fails. Missing allowance is 402 with `permit2_allowance_required`; the 412
//! of the specification is what facilitators answer. A Python client of version 2.25 without
//! `x402[extensions]` cannot pay by Permit2 where a 402 declares any extension.
//!
//! # The tests plant the published Permit2, and a stand-in for x402's proxy
//!
//! Code comes from package registries alone. npm's `@1inch/solidity-utils` has Permit2's, which
//! `tests/run` takes out of its tarball and `chain.mjs` compares with a hash; of the proxy no
//! package was found, so `ExactProxy.sol` does what the proxy's interface says. The published
//! facilitator and clients meet both.
//!
//! # `tollgate pay` looks at the chain only when told where
//!
//! A payer's command has no node of its own, and a stranger's would learn who pays for what.
//! Without `--rpc` it signs and lets the server say whether Permit2 may take the money; with it,
//! nothing is sent that could only be refused, and an approval comes along where that is taken: its
//! number is on the chain alone.
