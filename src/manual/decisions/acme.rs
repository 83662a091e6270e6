//! Decisions on certificates that an authority issues by itself.
//!
//! # The handshake is behind our own door
//!
//! TLS-ALPN-01 wants a third protocol beside those of HTTP, and pingora's listener offers those or
//! one other. So its listener is a plain one for both, and the door shakes hands with a
//! configuration of rustls that has all three. Whoever has not finished has a place among
//! `connections_max` by then, and `client_timeout` to do so. A client that offers `acme-tls/1` and
//! nothing else is shown what an authority wants to see, or is refused; it never reaches a route.
//!
//! # Without a certificate there is no handshake
//!
//! A certificate of our own making would be refused by every client that may be trusted with money,
//! and taken by those that look at nothing. Where files are named too, whoever names a domain that
//! is not certified yet is shown the first of them, as whoever names none.
//!
//! # A gateway without its certificate is ready
//!
//! `/readyz` says what is missing and is 200. Were it 503, the balancer in front would send nobody,
//! and the authority, which comes the same way, could not see that the name leads here.
//!
//! # One certificate for all names
//!
//! It is one order, one file and one moment to renew. A name that does not lead here lets the
//! order of all fail; the log and `/readyz` say which one it is. Names that a certificate of the
//! files is for are a mistake: what is shown to them would be one or the other by accident.
//!
//! # Renewal is when the authority would like it, else at two thirds
//!
//! RFC 9773, asked once a day or as often as the authority says. Without an answer two thirds of
//! the life, up to a thirtieth earlier by chance, which is right for 90 days and for 6. An order
//! that fails is tried again after 2 minutes, doubled up to 4 hours, later if the authority says
//! `Retry-After`; there are never more than five in an hour. That bound is kept in the storage: a
//! process that is started over and over would else use up a week's certificates in minutes. A
//! reload forgets the wait, not the bound: it is how an operator says that the cause is mended.
//!
//! # Key and chain are one file
//!
//! A rename exchanges one file. Two could be of two certificates after a power cut, and the next
//! start would find neither. The storage is the one place that is written besides the ledger.
//!
//! # Replicas
//!
//! The authority asks whichever replica the balancer chooses, and only the one that has ordered can
//! answer. Answers in a shared folder or in Redis were left away: in Kubernetes there is
//! cert-manager, whose secrets are files to `[[certificates]]`, and elsewhere whatever ends TLS in
//! front of replicas. One gateway may order, and others name its `certificate.pem` as `chain` and
//! as `key` with `watch = "on"`, if the balancer sends the challenge to the one.
//!
//! # Without TLS there is only a way to it
//!
//! `acme.http` answers an authority, and sends everybody else to `https` by 308, on a connection
//! for one request whose body is not read. It exists where it is asked for. To a name that is not
//! ours nobody is sent, whatever `Host` says.
//!
//! # The crates
//!
//! instant-acme does the protocol over our one HTTP client, without hyper-util's and without a
//! second provider of cryptography; it needed nothing that was not there. What brings a listener of
//! its own does not fit behind pingora's.
