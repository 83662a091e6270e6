//! One image from bytes to bytes, on a thread of its own, whatever may happen to it.

use std::panic::{AssertUnwindSafe, catch_unwind};

use tracing::{error, warn};

use super::decode::Header;
use super::encode::encode;
use super::errand::Errand;
use super::finish::finish;
use super::metrics::{Metrics, Stage};
use super::problem::Problem;
use super::request::Order;
use super::segment::network::Network;

/// What works on an image, and for whom.
pub(super) struct Tools<'a> {
    pub(super) network: &'a Network,
    pub(super) errand: &'a Errand,
    pub(super) metrics: &'a Metrics,
}

/// Decodes, cuts out, finishes and encodes, as long as somebody waits.
///
/// # Errors
/// `Undecodable`, `Failed`, `Late`.
pub(super) fn process(
    header: Header,
    order: Order,
    Tools { network, errand, metrics }: &Tools<'_>,
) -> Result<Vec<u8>, Problem> {
    contained(|| {
        errand.go_on()?;
        let mut photo = metrics.time(Stage::Decode, || header.decode())?;
        errand.go_on()?;
        let matte = metrics.time(Stage::Segment, || network.matte(&photo));
        let matte = matte.map_err(|fault| failed(&fault))?;
        errand.go_on()?;
        metrics.time(Stage::Refine, || matte.apply(&mut photo));
        drop(matte);
        errand.go_on()?;
        let encoded = || encode(&finish(photo, order), order.format);
        metrics.time(Stage::Encode, encoded).map_err(|fault| failed(&fault))
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
    use std::time::Duration;

    use bytes::Bytes;

    use super::super::container::Kind;
    use super::super::errand::errand;
    use super::super::segment::network::Share;
    use super::*;

    #[test]
    fn nothing_is_done_for_who_has_gone() {
        // A header, and pixels that no decoder takes: it would be `Undecodable` if anyone looked.
        let file = Bytes::from_static(include_bytes!("../../tests/photos/odd/no-pixels.png"));
        let header = || Header::read(file.clone(), Kind::Png).unwrap();
        let (client, errand) = errand(Duration::from_secs(60));
        let metrics = Metrics::new().unwrap();
        let network = Network::built_in(Share { parallel: 1, threads: 1 }).unwrap();
        let tools = Tools { network: &network, errand: &errand, metrics: &metrics };
        let order = Order::default();
        assert_eq!(process(header(), order, &tools), Err(Problem::Undecodable));
        drop(client);
        assert_eq!(process(header(), order, &tools), Err(Problem::Late));
    }

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
