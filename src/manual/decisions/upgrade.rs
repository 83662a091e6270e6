//! Decisions on the end of a process and on its successor, and why.
//!
//! # The running gateway starts its successor
//!
//! pingora's own way is a path in the file system: the new process makes a socket there that
//! anybody may write to, the old one connects to it on SIGQUIT and sleeps, and what goes wrong ends
//! a process. As nginx does, the old one starts the new one here, and a pair of sockets is the new
//! one's standard input: no path, no rights, nobody else on the line, and its end says that the
//! other one has ended, however that came. Two sockets on one address (`SO_REUSEPORT`) lose what
//! waits in the queue of the one that closes. systemd's sockets keep the queue, but not the
//! service: between stop and start nobody answers, and elsewhere than under systemd there are none.
//!
//! # A successor proves itself before anything changes
//!
//! Until it has said that it serves, the old process goes on, and may be asked again. So an upgrade
//! that fails is a message and not an outage; only where the ledger has one writer the last steps
//! must come after the old process's end.
//!
//! # With one writer clients wait, and are not refused
//!
//! To serve what needs no ledger meanwhile would need to know what that is: a free route may be
//! priced by another rule, and an answer may have to be kept. The queue of the listener knows
//! nothing and loses nothing. To wait for connections on which nothing runs would hold up all
//! others, so these are told first, while new ones are still taken.
//!
//! # The turn comes with the end of the process, not with its word
//!
//! Whoever follows transactions of our own signer may send one once more until the process is gone.
//! The successor waits for the end of the line, which the kernel writes.
//!
//! # An answer tells before a connection closes
//!
//! To close connections that look idle loses the requests that are on their way, and a client
//! cannot know whether a payment was taken with it. Five seconds are longer than the pauses of a
//! client that is busy. For one that is not, the end is what it meets after `keepalive` anyway.
