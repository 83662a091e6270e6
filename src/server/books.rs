//! The payments of a configuration to be looked at, beside the gateways that write them.

use std::collections::HashMap;
use std::sync::Arc;

use super::ServeError;
use super::assemble::{hosted, reader, readers, setting};
use crate::clock::Clock;
use crate::config::{Config, FacilitatorSettings};
use crate::facilitator::Facilitator;
use crate::facilitator::simulated::Simulated;
use crate::ledger::Ledger;
use crate::payment::Payments;

/// The ledger to read, and everyone who can be asked what became of a payment.
///
/// A simulated chain without a journal is in the memory of another process, and cannot be asked.
///
/// # Errors
/// The ledger or a journal cannot be opened, or a facilitator cannot be set up.
pub async fn books(config: &Config) -> Result<Payments, ServeError> {
    let ledger = Ledger::open_to_read(&config.ledger).await?;
    let mut facilitators = HashMap::new();
    let mut readers = readers(config)?;
    for (name, settings) in &config.facilitators {
        let facilitator = match settings.clone() {
            FacilitatorSettings::Simulated(settings) if settings.journal.is_none() => continue,
            FacilitatorSettings::Simulated(settings) => {
                let simulated = Simulated::to_read(settings);
                let simulated = simulated
                    .map_err(|error| setting("a simulated chain cannot be read", error))?;
                Facilitator::Simulated(Arc::new(simulated))
            }
            FacilitatorSettings::Chain(settings) => {
                // Its signers are not needed to read.
                let network = settings.network();
                let reader = reader(&network, settings.rpc().to_vec())?;
                readers.insert(network, reader);
                continue;
            }
            FacilitatorSettings::Http(settings) => hosted(settings)?,
        };
        facilitators.insert(Arc::from(&**name), facilitator);
    }
    Ok(Payments::with_readers(ledger, (facilitators, readers), Clock::System))
}
