//! Envoy where it tells of answers too, and what only it can do then.

use super::{KINDS, Proxy, api, gateway};
use crate::blackbox::refusals::refused;
use crate::support::facilitator::{Facilitator, Habit};
use crate::support::wallet::Wallet;

/// Where Envoy tells of the answer, a settlement that fails takes its place.
#[tokio::test]
async fn an_answer_that_is_not_paid_for_does_not_get_out() {
    let kind = KINDS.into_iter().find(|kind| kind.name == EXT_PROC).unwrap();
    let (api, facilitator) = (api().await, Facilitator::start().await);
    let section = format!("http = {{ url = \"{}\" }}", facilitator.url());
    let gateway = gateway(kind, &section).await;
    let proxy = Proxy::start(kind, &gateway, api.address).await;
    let no =
        r#"{"success":false,"errorReason":"insufficient_funds","transaction":"","network":""}"#;
    facilitator.on_settle(Habit::Says(200, no.to_owned()));
    let payment = Wallet::new(1).pays();
    let unpaid = proxy.ask("POST", "/v1/answer").pays(&payment).body("{}").send().await;
    refused(&unpaid, "settlement_rejected");
    assert_eq!(api.taken().len(), 1);
    gateway.logged("it", |line| line["outcome"] == "settlement_rejected").await;
}

/// Its kind.
pub(super) const EXT_PROC: &str = "envoy-ext-proc";
