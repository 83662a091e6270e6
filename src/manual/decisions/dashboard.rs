//! The operators' page.
//!
//! # The page reads what there is
//! Money comes from the ledger, all else from `/metrics`, read by the page itself: no second set of
//! numbers that could say something else. Sums are kept by the hour in memory and made anew every
//! hour, since a payment whose outcome was not known may settle late; the last two hours are read
//! each time, and never for more than a twentieth of the time. An index by time would cost each
//! payment a write to make a page faster that is seldom open.
//!
//! # Real money and test money are never one sum
//! The page shows one or the other. What a ledger has of an asset that is no longer configured
//! is shown in units, and is in no sum: nobody says how many decimals it has.
//!
//! # The token is a password of HTTP's own
//! No session, no cookie, no form: nothing that another origin could use, and nothing to expire. It
//! is compared as a digest, in constant time, and must be long enough not to be guessed.
//!
//! # The chart is a library, in the tree
//! uPlot 1.6.32 (MIT, 51 kB) stands in `src/dashboard/` as it was published, so that the page asks
//! no third host. Everything else of the page is 400 lines without a framework.
