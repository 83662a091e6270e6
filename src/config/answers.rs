//! `[answers]`: what is kept of paid answers, for payers who come back.

use std::time::Duration;

use crate::ledger::answers::Bounds;
use crate::x402::Identifying;

use super::file::FileAnswers;
use super::mistake::Mistake;
use super::reader::Reader;
use super::text::{Text, Written};
use super::units::{Size, Timeout};
use super::words::Identify;

/// What is kept of paid answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answers {
    /// Bytes of the longest answer that is kept, where the route does not say; nothing: none is.
    pub bytes_max: Option<usize>,
    /// How much is kept, and for how long.
    pub bounds: Bounds,
}

/// The longest answer that is kept; `"off"`: none is.
pub(super) enum Keep {
    Off,
    Up(u64),
}

impl Written for Keep {
    const EXPECTED: &'static str = "a size in quotes such as \"1MiB\", or \"off\"";

    fn read(text: &str) -> Result<Self, Mistake> {
        match text {
            "off" => Ok(Self::Off),
            text => match Size::read(text) {
                Ok(Size(bytes)) => Ok(Self::Up(bytes)),
                Err(_) => Err(Mistake::not("a size", text, "\"64KiB\", \"1MiB\" or \"off\"")),
            },
        }
    }
}

/// Reads `[answers]`.
pub(super) fn answers(typed: FileAnswers, reader: &mut Reader<'_>) -> Answers {
    let total_bytes_max = reader.take_if(typed.total).map_or(TOTAL_BYTES, |Size(bytes)| bytes);
    let memory = reader.take_if(typed.memory).map_or(MEMORY_BYTES, |Size(bytes)| bytes);
    let age = reader.take_if(typed.age).map_or(AGE, |Timeout(age)| age);
    let memory_bytes_max = usize::try_from(memory).unwrap_or(usize::MAX);
    let bounds = Bounds { total_bytes_max, memory_bytes_max, age };
    let default = Answers { bytes_max: Some(ANSWER_BYTES), bounds };
    // A bound of all that is below the usual bound of one is the bound of one.
    let usual = u64::try_from(ANSWER_BYTES).unwrap_or(u64::MAX).min(total_bytes_max).min(memory);
    match typed.max {
        Some(max) => default.keep(max, reader),
        None => Answers { bytes_max: usize::try_from(usual).ok(), bounds },
    }
}

impl Answers {
    /// The same with another bound of one answer.
    pub(super) fn keep(self, typed: Text<Keep>, reader: &mut Reader<'_>) -> Self {
        let span = typed.span.clone();
        let Some(keep) = reader.take(typed) else { return self };
        let bytes_max = match keep {
            Keep::Off => None,
            Keep::Up(bytes) => usize::try_from(bytes).ok().or(Some(usize::MAX)),
        };
        let Bounds { total_bytes_max, memory_bytes_max, .. } = self.bounds;
        let total = usize::try_from(total_bytes_max).unwrap_or(usize::MAX);
        if bytes_max.is_some_and(|bytes| bytes > total.min(memory_bytes_max)) {
            reader.wrong(span, Mistake::KeepTooMuch);
        }
        Self { bytes_max, ..self }
    }

    /// Whether clients of a route name what they buy. A name is worth something only where the
    /// answer that it has bought is kept.
    pub(super) fn identifying(
        self,
        typed: Option<Text<Identify>>,
        reader: &mut Reader<'_>,
    ) -> Identifying {
        let span = typed.as_ref().map(|typed| typed.span.clone());
        let wanted = reader.take_if(typed).map(|Identify(wanted)| wanted);
        match (self.bytes_max, wanted, span) {
            (Some(_), wanted, _) => wanted.unwrap_or(Identifying::Optional),
            (None, None | Some(Identifying::Off), _) | (None, _, None) => Identifying::Off,
            (None, Some(_), Some(span)) => {
                let (key, beside) = ("payment_identifier", "where no answer is kept");
                reader.wrong(span, Mistake::Meaningless { key, beside });
                Identifying::Off
            }
        }
    }
}

const ANSWER_BYTES: usize = 1 << 20;
const TOTAL_BYTES: u64 = 256 << 20;
const MEMORY_BYTES: u64 = 64 << 20;
const AGE: Duration = Duration::from_secs(600);
