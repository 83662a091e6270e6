//! The line of an exchange for people: what was asked, what became of it, then what else is known.
//!
//! ```text
//! 2026-11-21T09:30:00.120Z POST /v1/images 200 paid 103.204ms client=203.0.113.7 payer=0x70… …
//! ```

use std::fmt::{self, Display, Write as _};
use std::time::Duration;

use crate::clock::date::stamp;
use crate::observe::{Millis, Observed, ObservedPayment};

/// The line, without its end. What others have chosen cannot end it, nor move the terminal.
pub(super) fn line(observed: &Observed<'_>) -> String {
    let Observed { method, path, status, outcome, stages, .. } = observed;
    let (began, took) = (stamp(observed.began), Millis(observed.total));
    let mut line = Line(format!("{began} {method} {} {status} {outcome} {took}ms", Shown(path)));
    line.add("route", observed.route.map(Shown));
    line.add("client", Some(observed.client));
    line.add("reason", observed.reason.map(Shown));
    line.add("bypass", observed.bypass.map(Shown));
    line.add("signed_in", observed.signed_in);
    if let Some(payment) = &observed.payment {
        let ObservedPayment { payer, network, amount, transaction, .. } = payment;
        line.add("payer", Some(payer));
        line.add("amount", Some(amount));
        line.add("network", Some(Shown(network)));
        line.add("transaction", transaction.map(Shown));
    }
    line.took("verify", stages.verify);
    line.took("upstream", stages.upstream);
    line.took("settle", stages.settle);
    line.add("in", Some(observed.bytes_in));
    line.add("out", Some(observed.bytes_out));
    line.add("exchange", Some(observed.exchange));
    line.add("trace_id", observed.trace.map(|trace| trace.id()));
    line.add("fault", observed.fault.map(Shown));
    line.0
}

struct Line(String);

impl Line {
    fn add(&mut self, name: &str, value: Option<impl Display>) {
        if let Some(value) = value {
            // A string takes everything.
            let _ = write!(self.0, " {name}={value}");
        }
    }

    fn took(&mut self, name: &str, length: Option<Duration>) {
        self.add(name, length.map(|length| format!("{}ms", Millis(length))));
    }
}

/// A text as it is where it is one word; quoted and escaped where it is not.
struct Shown<'a>(&'a str);

impl Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(text) = self;
        let plain = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\');
        match !text.is_empty() && text.bytes().all(plain) {
            true => f.write_str(text),
            false => write!(f, "{text:?}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::access::tests::observed;

    #[test]
    fn a_line_says_what_became_of_an_exchange() {
        let mut seen = observed();
        (seen.total, seen.route) = (Duration::from_micros(1_042), Some("GET /v1/{id}"));
        assert_eq!(
            line(&seen),
            "1970-01-01T00:00:00.000Z GET / 200 free 1.042ms route=\"GET /v1/{id}\" \
             client=127.0.0.1 in=0 out=0 exchange=00000000000000000000000000000001"
        );
    }

    #[test]
    fn nobody_writes_lines_of_their_own() {
        let mut seen = observed();
        seen.path = "/a\n1970 GET /paid\u{1b}[2J\u{202e} \"";
        seen.fault = Some("the \"upstream\" is\r\naway");
        let line = line(&seen);
        assert!(line.contains(r#" "/a\n1970 GET /paid\u{1b}[2J\u{202e} \"" 200 "#), "{line}");
        assert!(line.ends_with(r#" fault="the \"upstream\" is\r\naway""#), "{line}");
    }
}
