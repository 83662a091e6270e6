//! Who asks too often: which bucket a request is counted in, and what an empty one stops.

use super::refusals::refused;
use crate::support::client::Answer;
use crate::support::facilitator::{Facilitator, Habit};
use crate::support::gateway::Gateway;
use crate::support::plan::{PRICED, Plan};
use crate::support::upstream::Upstream;
use crate::support::wallet::{Payment, Wallet};

/// A rate that gives nothing back while a test runs, and a burst of 3.
const SLOW: &str = r#"
unpaid = { rate = "3/h", by = "ip" }
refused = { rate = "3/h", by = "ip" }"#;

fn forged() -> Payment {
    Wallet::new(1).pays().then(|payment| payment.signed.signature[5] ^= 1)
}

/// Checks a 429 of this bucket.
#[track_caller]
fn limited(answer: &Answer, bucket: &str) {
    refused(answer, "rate_limit_exceeded");
    assert!(answer.header("ratelimit").starts_with(&format!("\"{bucket}\";r=0;t=")), "{answer:?}");
    let policy = answer.header("ratelimit-policy");
    assert!(policy.starts_with(&format!("\"{bucket}\";q=")), "{answer:?}");
}

async fn unpaid(gateway: &Gateway) -> Answer {
    gateway.ask("POST", "/paid").send().await
}

/// Sends until it is refused; a minute gives thirty back, and this may take longer than that.
async fn stopped_after_thirty(bucket: &str, send: impl AsyncFn() -> Answer) {
    let mut passed = 0;
    let answer = loop {
        let answer = send().await;
        if answer.status != 402 {
            break answer;
        }
        passed += 1;
        assert!(passed < 200, "nothing is limited");
    };
    assert!(passed >= 30, "{passed} have passed");
    limited(&answer, bucket);
    assert_eq!(answer.header("ratelimit-policy"), format!("\"{bucket}\";q=30;w=60"));
    assert!(matches!(answer.header("retry-after"), "1" | "2"), "{answer:?}");
    // Before a 402 is minted, nothing is said of the price.
    assert!(answer.json().get("accepts").is_none());
}

#[tokio::test]
async fn unless_configured_the_31st_unpaid_request_is_refused() {
    let upstream = Upstream::start().await;
    let gateway = Plan::to(upstream.address).limits("").start().await;
    stopped_after_thirty("unpaid", async || unpaid(&gateway).await).await;
}

#[tokio::test]
async fn unless_configured_the_31st_refused_payment_is_not_looked_at() {
    let upstream = Upstream::start().await;
    let gateway = Plan::to(upstream.address).limits("").start().await;
    let forged = forged();
    let send = async || gateway.ask("POST", "/paid").pays(&forged).send().await;
    stopped_after_thirty("refused", send).await;
}

#[tokio::test]
async fn an_empty_bucket_never_stops_a_good_payment_which_earns_one_request_back() {
    let upstream = Upstream::start().await;
    let gateway = Plan::to(upstream.address).limits(SLOW).start().await;
    for _ in 0..3 {
        assert_eq!(unpaid(&gateway).await.status, 402);
    }
    limited(&unpaid(&gateway).await, "unpaid");
    let payment = Wallet::new(1).pays();
    assert_eq!(gateway.ask("POST", "/paid").pays(&payment).send().await.status, 200);
    assert_eq!(unpaid(&gateway).await.status, 402, "one was earned");
    limited(&unpaid(&gateway).await, "unpaid");
}

/// An upstream that fails earns nobody anything: only settled payments do.
#[tokio::test]
async fn a_released_payment_earns_nothing() {
    let upstream = Upstream::answering(|_| crate::support::server::Reply::new(500)).await;
    let gateway = Plan::to(upstream.address).limits(SLOW).start().await;
    for _ in 0..3 {
        assert_eq!(unpaid(&gateway).await.status, 402);
    }
    let payment = Wallet::new(1).pays();
    assert_eq!(gateway.ask("POST", "/paid").pays(&payment).send().await.status, 500);
    limited(&unpaid(&gateway).await, "unpaid");
}

#[tokio::test]
async fn refused_payments_are_counted_before_a_signature_is_looked_at() {
    let upstream = Upstream::start().await;
    let gateway = Plan::to(upstream.address).limits(SLOW).start().await;
    refused(&gateway.ask("POST", "/paid").pays(&forged()).send().await, "payment_invalid");
    let garbage = gateway.ask("POST", "/paid").header("X-PAYMENT", "!").send().await;
    refused(&garbage, "payment_malformed");
    refused(&gateway.ask("POST", "/paid").pays(&forged()).send().await, "payment_invalid");
    limited(&gateway.ask("POST", "/paid").pays(&forged()).send().await, "refused");
    // Nobody has looked at the signature: a good one is not let through either.
    let good = Wallet::new(1).pays();
    limited(&gateway.ask("POST", "/paid").pays(&good).send().await, "refused");
    // The other bucket is another bucket.
    assert_eq!(unpaid(&gateway).await.status, 402);
}

#[tokio::test]
async fn good_payments_are_not_counted_as_refused() {
    let upstream = Upstream::start().await;
    let gateway = Plan::to(upstream.address).limits(SLOW).start().await;
    for _ in 0..6 {
        let payment = Wallet::new(1).pays();
        assert_eq!(gateway.ask("POST", "/paid").pays(&payment).send().await.status, 200);
    }
}

/// A class counts by payer, after the signature and before the ledger.
#[tokio::test]
async fn a_class_is_limited_by_payer_and_claims_nothing() {
    let upstream = Upstream::start().await;
    let facilitator = Facilitator::start().await;
    let limits = r#"
unpaid = "off"
refused = "off"
class.ai = { rate = "2/h", by = "payer" }"#;
    let gateway = Plan::to(upstream.address)
        .settled_by(&facilitator)
        .limits(limits)
        .route("match = \"POST /ai\"", &format!("{PRICED}\nclass = \"ai\""))
        .start()
        .await;
    for _ in 0..2 {
        let payment = Wallet::new(1).pays();
        assert_eq!(gateway.ask("POST", "/ai").pays(&payment).send().await.status, 200);
    }
    let third = Wallet::new(1).pays();
    limited(&gateway.ask("POST", "/ai").pays(&third).send().await, "class");
    assert_eq!(gateway.state(&third).await, "none");
    assert_eq!(facilitator.asked(), (2, 2));
    // The same payment is good elsewhere, and another payer here.
    assert_eq!(gateway.ask("POST", "/paid").pays(&third).send().await.status, 200);
    let other = Wallet::new(2).pays();
    assert_eq!(gateway.ask("POST", "/ai").pays(&other).send().await.status, 200);
    // Who has not proven to be this payer takes nothing from its bucket.
    let wallet = Wallet::new(3);
    for _ in 0..3 {
        let forged = wallet.pays().then(|payment| payment.signed.signature[5] ^= 1);
        refused(&gateway.ask("POST", "/ai").pays(&forged).send().await, "payment_invalid");
    }
    assert_eq!(gateway.ask("POST", "/ai").pays(&wallet.pays()).send().await.status, 200);
}

/// What a payer has paid with lies open on the chain, for anybody to send again.
#[tokio::test]
async fn a_payment_of_before_takes_nothing_from_its_payers_class() {
    let upstream = Upstream::start().await;
    let limits = "unpaid = \"off\"\nclass.ai = { rate = \"2/h\", by = \"payer\" }";
    let ai = format!("{PRICED}\nclass = \"ai\"");
    let plan = Plan::to(upstream.address).limits(limits);
    let gateway = plan.route("match = \"POST /ai\"", &ai).start().await;
    let first = Wallet::new(1).pays();
    assert_eq!(gateway.ask("POST", "/ai").pays(&first).send().await.status, 200);
    for _ in 0..5 {
        let again = gateway.ask("POST", "/ai").pays(&first).body("something else").send().await;
        refused(&again, "payment_used");
    }
    let second = Wallet::new(1).pays();
    assert_eq!(gateway.ask("POST", "/ai").pays(&second).send().await.status, 200);
    let third = Wallet::new(1).pays();
    limited(&gateway.ask("POST", "/ai").pays(&third).send().await, "class");
}

/// An account with money for one payment must not have a thousand worked for.
#[tokio::test]
async fn payments_that_are_served_and_do_not_settle_count_as_refused() {
    let (upstream, facilitator) = (Upstream::start().await, Facilitator::start().await);
    let refusal = r#"{"success":false,"errorReason":"insufficient_funds","transaction":""}"#;
    facilitator.on_settle(Habit::Says(200, refusal.into()));
    let gateway = Plan::to(upstream.address).settled_by(&facilitator).limits(SLOW).start().await;
    for _ in 0..3 {
        let answer = gateway.ask("POST", "/paid").pays(&Wallet::new(1).pays()).send().await;
        refused(&answer, "settlement_rejected");
    }
    let answer = gateway.ask("POST", "/paid").pays(&Wallet::new(1).pays()).send().await;
    limited(&answer, "refused");
    assert_eq!(upstream.seen().len(), 3);
}

#[tokio::test]
async fn while_an_upstream_is_away_only_good_payments_are_not_counted() {
    let gateway = Plan::to_upstream("url = \"http://nowhere.invalid:9000\"").limits(SLOW);
    let gateway = gateway.start().await;
    for _ in 0..5 {
        let good = Wallet::new(1).pays();
        refused(&gateway.ask("POST", "/paid").pays(&good).send().await, "upstream_away");
    }
    for _ in 0..3 {
        refused(&gateway.ask("POST", "/paid").pays(&forged()).send().await, "upstream_away");
    }
    limited(&gateway.ask("POST", "/paid").pays(&forged()).send().await, "refused");
}

#[tokio::test]
async fn x_forwarded_for_of_strangers_is_not_believed() {
    let upstream = Upstream::start().await;
    let gateway = Plan::to(upstream.address).limits(SLOW).start().await;
    for n in 1..=3 {
        let ask = gateway.ask("POST", "/paid").header("x-forwarded-for", &format!("192.0.2.{n}"));
        assert_eq!(ask.send().await.status, 402);
    }
    let ask = gateway.ask("POST", "/paid").header("x-forwarded-for", "192.0.2.9");
    limited(&ask.send().await, "unpaid");
}

/// A trusted proxy's word is the last entry; what stands before it is the client's own.
#[tokio::test]
async fn x_forwarded_for_of_trusted_proxies_is_believed_as_far_as_they_wrote_it() {
    let upstream = Upstream::start().await;
    let plan = Plan::to(upstream.address).limits(SLOW);
    let gateway = plan.server("trusted_proxies = [\"127.0.0.1\"]").start().await;
    let from = async |forwarded: &str| {
        let ask = gateway.ask("POST", "/paid").header("x-forwarded-for", forwarded);
        ask.send().await.status
    };
    for n in 1..=3 {
        assert_eq!(from(&format!("10.0.0.{n}, 192.0.2.1")).await, 402);
    }
    assert_eq!(from("10.9.9.9, 192.0.2.1").await, 429, "the client's own entry changes nothing");
    assert_eq!(from("192.0.2.2").await, 402, "another client has its own bucket");
    // Of IPv6, the /64 is one client.
    for n in 1..=3 {
        assert_eq!(from(&format!("2001:db8::{n}")).await, 402);
    }
    assert_eq!(from("2001:db8::ffff:4").await, 429);
    assert_eq!(from("2001:db8:0:1::1").await, 402);
    let line = gateway.logged("a client", |line| line["client"] == "192.0.2.2").await;
    assert_eq!(line["status"], 402);
}

#[tokio::test]
async fn free_routes_are_not_limited() {
    let upstream = Upstream::start().await;
    let gateway = Plan::to(upstream.address).limits(SLOW).start().await;
    for _ in 0..8 {
        assert_eq!(gateway.ask("GET", "/free").send().await.status, 200);
    }
}
