//! A facilitator that does its worst, at each of its addresses: nothing is lost, nothing is paid
//! twice, and neither time nor memory goes without a bound.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::blackbox::refusals::refused;
use crate::support::client::Answer;
use crate::support::facilitator::{Facilitator, Habit, Pour};
use crate::support::gateway::Gateway;
use crate::support::plan::Plan;
use crate::support::upstream::Upstream;
use crate::support::wallet::{Payment, Wallet};

/// Long enough for an honest answer on a busy machine.
const MOMENT: &str = "3s";

/// Far above [`MOMENT`] and the work around it, far below what a drip would take.
const LONGEST: Duration = Duration::from_secs(15);

/// A quarter of an answer that is too long: what an allocator rounds up to is in it.
const GROWTH_KB_MAX: u64 = 10_000;

async fn gateway(upstream: &Upstream, facilitator: &Facilitator) -> Gateway {
    let url = facilitator.url();
    let section = format!(
        "http = {{ url = \"{url}\", verify_timeout = \"{MOMENT}\", settle_timeout = \"{MOMENT}\" }}"
    );
    Plan::to(upstream.address).facilitator(&section).start().await
}

async fn pay(gateway: &Gateway, payment: &Payment) -> Answer {
    gateway.ask("POST", "/paid").pays(payment).send().await
}

/// What `says` makes of each way to misbehave that no one-line answer is believed for.
fn acts(elsewhere: &Facilitator, says: impl Fn(u16, &str) -> Habit) -> Vec<Habit> {
    let to = format!("{}/settle", elsewhere.url());
    let (hash, other) = (format!("0x{}", "ab".repeat(32)), format!("0x{}", "cd".repeat(20)));
    let settled = |network: &str, payer: &str| {
        let said = json!({
            "success": true, "isValid": true, "kinds": [{}],
            "transaction": hash, "network": network, "payer": payer,
        });
        said.to_string()
    };
    vec![
        says(500, "oops"),
        says(500, &settled("eip155:84532", "")),
        says(200, r#"{"success":tr"#),
        says(200, r#"{"isValid":tr"#),
        says(200, ""),
        says(200, "[true]"),
        says(200, "\0\0\0\0"),
        says(200, &settled("eip155:84532", &other)),
        says(418, "{}"),
        Habit::Redirects(302, to.clone()),
        Habit::Redirects(307, to.clone()),
        Habit::Redirects(308, to),
        Habit::Pours(Pour::Half),
        Habit::Pours(Pour::Nothing),
        Habit::Pours(Pour::Drip),
        Habit::Pours(Pour::Headers),
        Habit::Pours(Pour::Flood),
    ]
}

/// How much memory the process has had at most before something, where it is to stay so.
struct Growth(Option<u64>);

impl Growth {
    /// Of an answer that is too long.
    fn from_now(gateway: &Gateway, act: &Habit) -> Self {
        let long = matches!(act, Habit::Pours(Pour::Headers | Pour::Flood));
        Self(long.then(|| gateway.peak_kb()))
    }

    fn stays_small(self, gateway: &Gateway) {
        let growth = self.0.map_or(0, |before| gateway.peak_kb().saturating_sub(before));
        assert!(growth < GROWTH_KB_MAX, "{growth} kB more than before");
    }
}

#[tokio::test]
async fn whatever_settle_answers_after_the_transfer_the_payment_is_kept_and_never_repeated() {
    let (upstream, elsewhere) = (Upstream::start().await, Facilitator::start().await);
    let facilitator = Facilitator::start().await;
    let gateway = gateway(&upstream, &facilitator).await;
    let wallet = Wallet::new(1);
    let failed = r#"{"success":false,"errorReason":"unexpected_settle_error","transaction":""}"#;
    let mut acts = acts(&elsewhere, |status, text| Habit::MovesAndSays(status, text.into()));
    acts.push(Habit::MovesAndWaits);
    acts.push(Habit::MovesAndSays(200, failed.to_owned()));
    let other =
        format!(r#"{{"success":true,"transaction":"0x{}","network":"eip155:1"}}"#, "ab".repeat(32));
    acts.push(Habit::MovesAndSays(200, other));

    for act in acts {
        let (payment, moved, asked) = (wallet.pays(), facilitator.moved(), facilitator.asked().1);
        facilitator.on_settle(act.clone());
        let growth = Growth::from_now(&gateway, &act);
        let began = Instant::now();
        refused(&pay(&gateway, &payment).await, "outcome_unknown");
        assert!(began.elapsed() < LONGEST, "{act:?} took {:?}", began.elapsed());
        growth.stays_small(&gateway);
        assert_eq!(facilitator.moved().len(), moved.len() + 1, "{act:?}");
        assert_eq!(gateway.state(&payment).await, "unknown", "{act:?}");

        facilitator.on_settle(Habit::Honest);
        refused(&pay(&gateway, &payment).await, "outcome_unknown");
        assert_eq!(facilitator.asked().1, asked + 1, "{act:?} was asked again");
        // Others pay as before; a row of faults would close the door for a while.
        for _ in 0..2 {
            assert_eq!(pay(&gateway, &wallet.pays()).await.status, 200, "after {act:?}");
        }
    }
    assert_eq!(elsewhere.asked(), (0, 0), "a redirect was followed");
}

#[tokio::test]
async fn whatever_verify_answers_nothing_moves_and_the_payment_is_good_for_another_try() {
    let (upstream, elsewhere) = (Upstream::start().await, Facilitator::start().await);
    let facilitator = Facilitator::start().await;
    let gateway = gateway(&upstream, &facilitator).await;
    let wallet = Wallet::new(1);
    let mut acts = acts(&elsewhere, |status, text| Habit::Says(status, text.into()));
    acts.push(Habit::Waits);

    for act in acts {
        let (payment, served) = (wallet.pays(), upstream.seen().len());
        facilitator.on_verify(act.clone());
        let growth = Growth::from_now(&gateway, &act);
        let began = Instant::now();
        refused(&pay(&gateway, &payment).await, "facilitator_unavailable");
        assert!(began.elapsed() < LONGEST, "{act:?} took {:?}", began.elapsed());
        growth.stays_small(&gateway);
        assert_eq!(upstream.seen().len(), served, "{act:?} was served");
        gateway.comes_to(&payment, "released").await;

        facilitator.on_verify(Habit::Honest);
        let settled = facilitator.moved().len();
        assert_eq!(pay(&gateway, &payment).await.status, 200, "after {act:?}");
        assert_eq!(pay(&gateway, &wallet.pays()).await.status, 200, "after {act:?}");
        assert_eq!(facilitator.moved().len(), settled + 2);
    }
    assert_eq!(elsewhere.asked(), (0, 0), "a redirect was followed");
}

/// Without a list nobody knows whether it settles what the routes offer; it is asked all the same.
#[tokio::test]
async fn whatever_supported_answers_payments_go_on_and_readiness_says_so() {
    let (upstream, elsewhere) = (Upstream::start().await, Facilitator::start().await);
    let mut acts = acts(&elsewhere, |status, text| Habit::Says(status, text.into()));
    acts.push(Habit::Waits);
    for act in acts {
        let facilitator = Facilitator::start().await;
        facilitator.on_supported(act.clone());
        let gateway = gateway(&upstream, &facilitator).await;
        assert_eq!(pay(&gateway, &Wallet::new(1).pays()).await.status, 200, "{act:?}");
        let (status, text) = gateway.admin("/readyz").await;
        assert_eq!(status, 503, "{act:?}");
        assert!(text.contains("facilitator peer") || text == "starting\n", "{act:?}: {text}");
        facilitator.on_supported(Habit::Honest);
        gateway.ready().await;
    }
    assert_eq!(elsewhere.asked(), (0, 0), "a redirect was followed");
}
