//! One image from bytes to bytes, on a thread of its own, whatever may happen to it.

use std::panic::{AssertUnwindSafe, catch_unwind};

use tracing::{error, warn};

use super::decode::Header;
use super::encode::encode;
use super::problem::Problem;
use super::request::Output;
use super::segment::cut_out;

/// Decodes, cuts out and encodes.
///
/// # Errors
/// `Undecodable`, `Failed`.
pub(super) fn process(header: Header, output: Output) -> Result<Vec<u8>, Problem> {
    contained(|| {
        let mut photo = header.decode()?;
        cut_out(&mut photo).map_err(|fault| failed(&fault))?;
        encode(&photo, output).map_err(|fault| failed(&fault))
    })
}

/// Runs `work`; a panic in it is this one image's failure and no other's.
///
/// What `work` owns is dropped with it, so nothing half done is seen again.
pub(super) fn contained<T>(work: impl FnOnce() -> Result<T, Problem>) -> Result<T, Problem> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| {
        // What panicked and where was logged by the panic hook.
        error!("an image made the processor panic");
        Err(Problem::Failed)
    })
}

fn failed(fault: &(dyn std::error::Error + 'static)) -> Problem {
    warn!(fault, "an image could not be processed");
    Problem::Failed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_one_failure() {
        let result: Result<(), Problem> = contained(|| panic!("an image that nobody thought of"));
        assert_eq!(result, Err(Problem::Failed));
        assert_eq!(contained(|| Ok(7)), Ok(7));
    }

    #[test]
    fn a_refusal_passes_through() {
        let result: Result<(), Problem> = contained(|| Err(Problem::Undecodable));
        assert_eq!(result, Err(Problem::Undecodable));
    }
}
