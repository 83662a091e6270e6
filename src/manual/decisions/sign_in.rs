//! Decisions on `sign-in-with-x`: a wallet that has paid is let in again by what it signs.
//!
//! # Who has paid is the ledger's to say
//!
//! A table of passes beside the payments would be a second truth: written a moment later than the
//! money moves, lost with a crash between the two, and empty for all who paid before the key was
//! configured. An index over settled payments by payer, route and moment says the same. It is made
//! at the first start with such a route, and not for those who have none: it takes some 70 bytes
//! and 16 µs of each payment. A reload does not make it, because no payment is written meanwhile.
//! A payment's line knows its route and neither the price nor the method: so a
//! route with several of either lets nobody in, which the configuration says. A price by usage
//! has no end of what it would let in to.
//!
//! # A key has paid wherever it has paid, a contract only where it is
//!
//! npm's client signs for the first network of its kind that the 402 names, and pays on the one
//! that it chooses. A key is the same on all of them, and its payment on any counts. The address of
//! a contract may be somebody else's on another chain: that must have paid where it signs, and its
//! chain is asked (ERC-1271) once the ledger knows such a payment, so that nobody can have us ask
//! at will. What proves nothing hears that its signature is wrong, whether its wallet has paid or
//! not. Behind a hosted facilitator contracts are asked where the network has an `rpc`.
//!
//! # The nonce need not be ours
//!
//! Each 402 has one that no other has, but it is not looked up whether it was given out: that would
//! be a write for each unpaid request, or a key that all gateways share. What a stranger could do
//! with a nonce of its own is to sign without having asked, which lets it in to nothing. What has
//! to hold is that a sign-in lets in once: wallet and nonce are written where kept answers are, by
//! one statement that one of several gateways wins, and stay there for longer than the sign-in is
//! taken. Only what is about to be let in is written, so the table is as long as its wallets have
//! paid for. On a file a crash of the process forgets none; a power cut may, of the last moment.
//!
//! # Our own domain and URL, letter by letter
//!
//! They are those of the 402, made from `public_url`; the client's `Host` is never looked at. The
//! specification asks for the same origin only: a sign-in for one path would be good for all of
//! them. A line break in any of its texts is refused, because another message could be read from
//! what was signed.
//!
//! # 402, whatever is wrong with it
//!
//! npm's client pays when its sign-in is answered with 402 and gives up on anything else. Only
//! what would stop its payment as well, a body, a limit, a ledger that is away, has its own status.
//! Where a payment comes along it is taken, and the sign-in is not looked at: that client has
//! decided to pay. Nor is a sign-in looked at on a route without one.
//!
//! # The 402 stays one that is written once
//!
//! Nonce and moments stand together in its JSON, at the same place each time. The base64 of the
//! rest is kept, and a hundred bytes of it are written anew: 402s cost a copy of their header more
//! than without sign-ins, and those of other routes nothing.
//!
//! # It is counted as what it turned out to be
//!
//! Before its signature is looked at it takes a place among the refused payments of its address,
//! and gets it back when the signature is good. One that is good and has not paid is a request
//! without payment. One that is let in gives the place back that its 402 took, as a payment that
//! settled does: else whoever need not pay would be stopped sooner than whoever does.
