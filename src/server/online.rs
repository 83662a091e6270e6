//! `tollgate check --online`: asks the facilitators of a configuration what they settle.

use std::collections::HashMap;
use std::io::{self, Write};
use std::sync::Arc;

use tokio::task::JoinSet;

use super::ServeError;
use super::assemble::facilitators;
use crate::config::Config;
use crate::facilitator::Facilitator;
use crate::facilitator::http::Http;
use crate::fault::Fault;
use crate::x402::SupportedKind;
use crate::x402::requirements::SCHEME_EXACT;

/// What the look came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Online {
    /// Each network has a facilitator that settles there.
    Good,
    /// Some network has none.
    Bad,
}

/// Asks `/supported` of every hosted facilitator, all at once, each within its `verify_timeout`
/// twice at most, and writes for each network, in its order, who settles there and who does not.
///
/// # Errors
/// A facilitator cannot be set up, or `out` cannot be written.
pub async fn check(config: &Config, out: &mut impl Write) -> Result<Online, ServeError> {
    let facilitators = facilitators(config)?;
    let answers = ask(&facilitators).await;
    write(config, &facilitators, &answers, out).map_err(ServeError::Process)
}

type Answers = HashMap<Arc<str>, Result<Vec<SupportedKind>, Fault>>;

async fn ask(facilitators: &HashMap<Arc<str>, Facilitator>) -> Answers {
    let mut asking = JoinSet::new();
    for (name, facilitator) in facilitators {
        if let Facilitator::Http(http) = facilitator {
            let (name, http) = (Arc::clone(name), Arc::clone(http));
            asking.spawn(async move { (name, kinds(&http).await) });
        }
    }
    asking.join_all().await.into_iter().collect()
}

async fn kinds(http: &Http) -> Result<Vec<SupportedKind>, Fault> {
    http.refresh().await?;
    Ok(http.listed())
}

fn write(
    config: &Config,
    facilitators: &HashMap<Arc<str>, Facilitator>,
    answers: &Answers,
    out: &mut impl Write,
) -> io::Result<Online> {
    let mut online = Online::Good;
    for (name, network) in &config.networks {
        writeln!(out, "\n{name} ({})", network.network)?;
        let mut settled = false;
        for facilitator in network.facilitators.iter() {
            let listed = |version: u8, name: &str| {
                let same = |kind: &SupportedKind| {
                    let exact = kind.scheme == SCHEME_EXACT;
                    exact && kind.x402_version == version && kind.network == name
                };
                matches!(answers.get(facilitator), Some(Ok(kinds)) if kinds.iter().any(same))
            };
            let v1 = listed(1, &network.v1_name);
            let v2 = listed(2, network.network.as_str());
            let hosted = matches!(facilitators.get(facilitator), Some(Facilitator::Http(_)));
            let said = match (answers.get(facilitator), v1, v2) {
                _ if !hosted => "settles in this process".to_owned(),
                (Some(Err(fault)), ..) => format!("does not say what it settles: {fault}"),
                (_, true, true) => "settles `exact` here, in versions 1 and 2".to_owned(),
                (_, true, false) => "settles `exact` here, in version 1 only".to_owned(),
                (_, false, true) => "settles `exact` here, in version 2 only".to_owned(),
                (_, false, false) => "answers, and does not settle `exact` here".to_owned(),
            };
            writeln!(out, "  {facilitator:<10} {said}")?;
            settled |= v1 || v2 || !hosted;
        }
        if !settled {
            writeln!(out, "  nobody is known to settle here now")?;
            online = Online::Bad;
        }
    }
    Ok(online)
}
