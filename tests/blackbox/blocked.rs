//! Who is turned away: addresses before anything else, payers before anybody is asked to settle.

use super::refusals::refused;
use crate::support::client::Answer;
use crate::support::facilitator::Facilitator;
use crate::support::gateway::Gateway;
use crate::support::plan::Plan;
use crate::support::raw;
use crate::support::upstream::Upstream;
use crate::support::wallet::{Payment, Wallet};

fn plan(upstream: &Upstream, block: &str) -> Plan {
    let plan = Plan::to(upstream.address).server("trusted_proxies = [\"127.0.0.1\"]");
    plan.section(&format!("[block]\n{block}"))
}

async fn from(gateway: &Gateway, address: &str, path: &str) -> Answer {
    gateway.ask("GET", path).header("x-forwarded-for", address).send().await
}

async fn pays(gateway: &Gateway, payment: &Payment) -> Answer {
    gateway.ask("POST", "/paid").pays(payment).body("the body").send().await
}

#[tokio::test]
async fn a_blocked_address_is_served_nothing_whatever_it_asks() {
    let upstream = Upstream::start().await;
    let block = "addresses = [\"203.0.113.0/24\", \"2001:db8::/32\"]";
    let gateway = plan(&upstream, block).start().await;
    for address in ["203.0.113.9", "2001:db8::9"] {
        for path in ["/free", "/paid", "/nothing", "/llms.txt", "//"] {
            refused(&from(&gateway, address, path).await, "address_blocked");
        }
    }
    let paid = gateway.ask("POST", "/paid").header("x-forwarded-for", "203.0.113.9");
    refused(&paid.pays(&Wallet::new(1).pays()).send().await, "address_blocked");
    assert!(upstream.seen().is_empty() && gateway.ledger().await.is_empty());
    assert_eq!(from(&gateway, "203.0.114.9", "/free").await.status, 200);
    assert_eq!(from(&gateway, "203.0.114.9", "/paid").await.status, 402);
    // What cannot be read in one way is not looked at either.
    let odd = "GET /free HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 203.0.113.9\r\nConnection: close\r\n\
               Content-Type: a\r\nContent-Type: b\r\n\r\n";
    let (status, text) = raw::exchange(gateway.public, odd).await.unwrap();
    assert!(status == 403 && text.contains("address_blocked"), "{text}");
    let line = gateway.logged("it", |line| line["outcome"] == "address_blocked").await;
    assert_eq!(line["status"], 403);
}

#[tokio::test]
async fn a_blocked_payer_is_never_charged_and_keeps_what_was_bought() {
    let (upstream, facilitator) = (Upstream::start().await, Facilitator::start().await);
    let thief = Wallet::new(1);
    let block = format!("payers = [\"{}\"]", thief.address());
    let settled_by = |plan: Plan| plan.settled_by(&facilitator);
    let gateway = settled_by(plan(&upstream, "payers_file = \"blocked.txt\""))
        .start_after(|folder| std::fs::write(folder.join("blocked.txt"), "# nobody\n").unwrap())
        .await;
    let before = thief.pays();
    assert_eq!(pays(&gateway, &before).await.status, 200);
    // The list is read again with the file.
    std::fs::write(gateway.dir().join("blocked.txt"), thief.address().to_string()).unwrap();
    assert_eq!(gateway.reloaded(|text| text).await.0, 200);
    let payment = thief.pays();
    refused(&pays(&gateway, &payment).await, "payer_blocked");
    assert_eq!(gateway.state(&payment).await, "none");
    assert_eq!(facilitator.asked(), (1, 1));
    assert_eq!(upstream.seen().len(), 1);
    let again = pays(&gateway, &before).await;
    assert_eq!((again.status, again.header("idempotent-replayed")), (200, "true"));
    assert_eq!(pays(&gateway, &Wallet::new(2).pays()).await.status, 200);
    let line = gateway.logged("it", |line| line["outcome"] == "payer_blocked").await;
    assert_eq!(line["payment"]["payer"], thief.address().to_string());
    // Named in the file itself it is the same; whoever only claims to be that payer is not.
    let gateway = settled_by(plan(&upstream, &block)).start().await;
    refused(&pays(&gateway, &thief.pays()).await, "payer_blocked");
    let forged = thief.pays().then(|payment| payment.signed.signature[5] ^= 1);
    refused(&pays(&gateway, &forged).await, "payment_invalid");
}

#[tokio::test]
async fn payments_of_blocked_payers_count_as_refused() {
    let upstream = Upstream::start().await;
    let block = format!("payers = [\"{}\"]", Wallet::new(1).address());
    let limits = "refused = { rate = \"3/h\", by = \"ip\" }";
    let gateway = plan(&upstream, &block).limits(limits).start().await;
    for _ in 0..3 {
        refused(&pays(&gateway, &Wallet::new(1).pays()).await, "payer_blocked");
    }
    refused(&pays(&gateway, &Wallet::new(1).pays()).await, "rate_limit_exceeded");
}
