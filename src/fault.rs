//! What breaks, ours or another's: whose side, whether to try again, and the cause.

use std::error::Error;
use std::fmt;
use std::time::Duration;

/// Whose side a fault is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Side {
    /// The API behind us.
    Upstream,
    /// Whoever verifies and settles for us.
    Facilitator,
    /// A chain node.
    Chain,
    /// The store of payments.
    Ledger,
    /// This process.
    Ours,
}

impl Side {
    /// The word in logs and metric labels.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Upstream => "upstream",
            Self::Facilitator => "facilitator",
            Self::Chain => "chain",
            Self::Ledger => "ledger",
            Self::Ours => "ours",
        }
    }
}

/// Whether the same attempt may succeed later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// It may.
    Later,
    /// It will not.
    Never,
}

/// Whom a fault is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Whoever asks next may meet it too.
    Everyone,
    /// Perhaps everyone, perhaps only payments of this payer, who may have caused it.
    OnePayer,
    /// This payment. A payer may cause it at will, so it must not turn others away.
    OnePayment,
}

/// Something broke. Its `Display` is the whole chain of causes on one line.
#[derive(Debug)]
pub struct Fault {
    side: Side,
    retry: Retry,
    reach: Reach,
    pause: Option<Duration>,
    context: &'static str,
    cause: Option<Box<dyn Error + Send + Sync>>,
}

impl Fault {
    /// A fault with no deeper cause; `context` says what was being done.
    pub fn new(side: Side, retry: Retry, context: &'static str) -> Self {
        Self { side, retry, reach: Reach::Everyone, pause: None, context, cause: None }
    }

    /// The same fault with its cause.
    pub fn caused_by(mut self, cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.cause = Some(cause.into());
        self
    }

    /// The same fault, which the payer may have caused.
    pub fn of_one_payer(mut self) -> Self {
        self.reach = Reach::OnePayer;
        self
    }

    /// The same fault, about one payment only.
    pub fn of_one_payment(mut self) -> Self {
        self.reach = Reach::OnePayment;
        self
    }

    /// The same fault of somebody who has said for how long not to be asked again.
    pub fn pausing(mut self, pause: Option<Duration>) -> Self {
        self.pause = pause;
        self
    }

    /// For how long whoever it is about wants not to be asked.
    pub fn pause(&self) -> Option<Duration> {
        self.pause
    }

    /// Whom it is about.
    pub fn reach(&self) -> Reach {
        self.reach
    }

    /// Whose side it is on.
    pub fn side(&self) -> Side {
        self.side
    }

    /// Whether to try again.
    pub fn retry(&self) -> Retry {
        self.retry
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.side.name(), self.context)?;
        let mut cause = self.source();
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}

impl Error for Fault {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        let cause: &(dyn Error + 'static) = self.cause.as_deref()?;
        Some(cause)
    }
}

/// An error and its causes, on one line.
pub fn with_causes(error: &dyn Error) -> String {
    let causes = std::iter::successors(Some(error), |&error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

/// Somebody else's text as it may stand in a log or on a terminal: one line of at most
/// [`TEXT_CHARS_MAX`] characters, none of which is obeyed or turns the others around.
pub fn printable(text: &str) -> String {
    text.chars().filter(|c| !c.is_control() && !is_format(*c)).take(TEXT_CHARS_MAX).collect()
}

/// Whether it is not seen and changes how others are: line ends, directions, joiners.
/// Source: Unicode 16, general categories Zl, Zp and the bidirectional part of Cf.
fn is_format(c: char) -> bool {
    matches!(c,
        '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// The most that is shown of a text that is not ours.
pub const TEXT_CHARS_MAX: usize = 200;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_of_somebody_else_stays_one_line_and_is_not_obeyed() {
        assert_eq!(printable("a\r\nb\u{1b}[31m\u{7f}c\u{9b}\u{2028}d"), "ab[31mcd");
        assert_eq!(printable("pay \u{202e}01$\u{2066}"), "pay 01$");
        assert_eq!(printable(&"é".repeat(1_000)).chars().count(), TEXT_CHARS_MAX);
    }
}
