//! Attacks by name: what is sent, what is answered, and what upstream, ledger and limiter have seen
//! of it. What has been tried on others, and what a stranger would try first.
//!
//! The rule for a request is always the same: it is refused before the upstream sees a byte of it,
//! or forwarded exactly as it was judged.

mod asked;
mod facilitators;
mod files;
mod floods;
mod framing;
mod fuzz;
mod http2;
mod lines;
mod payments;
mod pipelined;
mod promises;
mod slow;
mod spellings;
mod walks;
