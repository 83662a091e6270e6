//! Where the answer goes: its body to a file or standard output, its head to standard error.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::Path;

use super::Arguments;
use super::choice::Payable;
use super::client::{Answer, Paid};
use super::error::{Exit, PayError};
use super::report::{self, line};
use crate::fault::printable;

/// Makes sure that the file for the answer can be written, before anything is paid for it. What is
/// in it stays until there is an answer.
pub(super) fn prepare(path: Option<&Path>) -> Result<(), PayError> {
    let Some(path) = path else { return Ok(()) };
    let opened = OpenOptions::new().append(true).create(true).open(path);
    opened.map(drop).map_err(PayError::NoPlace)
}

/// Writes the answer to a request that nobody wanted money for.
pub(super) fn unpriced(arguments: &Arguments, answer: &Answer) -> Result<Exit, PayError> {
    line(format_args!("{}: no payment is asked for", answer.status));
    answered(arguments, answer).map_err(PayError::NoPlace)
}

/// Writes the answer to a paid request, after its receipt: a full disk must not hide that.
pub(super) fn paid(
    arguments: &Arguments,
    paid: &Paid,
    payable: &Payable<'_>,
) -> Result<Exit, PayError> {
    if paid.answer.status.is_success() {
        report::receipt(paid.receipt.as_ref(), payable);
        return answered(arguments, &paid.answer).map_err(PayError::Output);
    }
    line(format_args!("{}: the payment was not taken", paid.answer.status));
    answered(arguments, &paid.answer).map_err(PayError::NoPlace)
}

fn answered(arguments: &Arguments, answer: &Answer) -> io::Result<Exit> {
    if arguments.include {
        line(format_args!("{}", answer.status));
        for (name, value) in &answer.headers {
            let value = String::from_utf8_lossy(value.as_bytes());
            line(format_args!("{name}: {}", printable(&value)));
        }
    }
    let good = answer.status.is_success();
    // A refusal's text is for the person, not for the file that waits for the answer.
    match arguments.output.as_deref().filter(|_| good) {
        Some(path) => File::create(path).and_then(|mut file| file.write_all(&answer.body)),
        None => {
            let mut stdout = io::stdout().lock();
            stdout.write_all(&answer.body).and_then(|()| stdout.flush())
        }
    }?;
    Ok(if good { Exit::Done } else { Exit::Failed })
}
