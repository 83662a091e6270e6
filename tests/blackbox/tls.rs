//! Clients who come by TLS: which certificate they are shown, and HTTP/2 for whoever speaks it.

use std::fs;
use std::path::Path;

use reqwest::{Certificate, Client, Version};

use super::refusals::refused;
use crate::support::certificate::certify;
use crate::support::client::Ask;
use crate::support::gateway::Gateway;
use crate::support::plan::Plan;
use crate::support::server::{Reply, Server};
use crate::support::upstream::Upstream;
use crate::support::wallet::Wallet;

fn section(name: &str) -> String {
    format!("[[certificates]]\nchain = \"{name}.pem\"\nkey = \"{name}.key\"")
}

/// Starts a gateway with certificates for these names; gives them to be trusted.
pub async fn start(plan: Plan, certificates: &[(&str, &[&str])]) -> (Gateway, Vec<Vec<u8>>) {
    let mut trusted = Vec::new();
    let plan = certificates.iter().fold(plan, |plan, (name, _)| plan.section(&section(name)));
    let prepare = |folder: &Path| {
        trusted = certificates.iter().map(|(name, names)| certify(folder, name, names)).collect();
    };
    (plan.start_after(prepare).await, trusted)
}

/// A client that trusts this certificate alone, and finds every name at the gateway.
pub fn client(gateway: &Gateway, trusted: &[u8], name: &str, http2: bool) -> Client {
    let builder = Client::builder()
        .no_proxy()
        .tls_certs_only([Certificate::from_pem(trusted).unwrap()])
        .resolve(name, gateway.public);
    let builder = if http2 { builder } else { builder.http1_only() };
    builder.build().unwrap()
}

pub fn ask(gateway: &Gateway, client: &Client, method: &str, name: &str, path: &str) -> Ask {
    Ask::new(client, method, &format!("https://{name}:{}{path}", gateway.public.port()))
}

#[tokio::test]
async fn each_name_is_shown_its_certificate() {
    let upstream = Upstream::start().await;
    let names: [(&str, &[&str]); 2] =
        [("one", &["one.example", "*.wild.example"]), ("two", &["two.example"])];
    let (gateway, trusted) = start(Plan::to(upstream.address), &names).await;
    let sees = async |certificate: usize, name: &str| {
        let client = client(&gateway, &trusted[certificate], name, true);
        ask(&gateway, &client, "GET", name, "/free").try_send().await.map(|answer| answer.status)
    };
    assert_eq!(sees(0, "one.example").await.unwrap(), 200);
    assert_eq!(sees(0, "any.wild.example").await.unwrap(), 200);
    assert_eq!(sees(1, "two.example").await.unwrap(), 200);
    assert_eq!(sees(1, "TWO.example").await.unwrap(), 200);
    // The first one is shown to whoever asks for another name, and is good for none.
    for (certificate, name) in [(0, "two.example"), (0, "a.any.wild.example"), (1, "three.example")]
    {
        assert!(sees(certificate, name).await.is_err(), "{name}");
    }
}

#[tokio::test]
async fn whoever_speaks_http_2_pays_like_all_others() {
    let upstream = Upstream::start().await;
    let (gateway, trusted) = start(Plan::to(upstream.address), &[("one", &["one.example"])]).await;
    for (http2, version) in [(true, Version::HTTP_2), (false, Version::HTTP_11)] {
        let client = client(&gateway, &trusted[0], "one.example", http2);
        let paid = |method| ask(&gateway, &client, method, "one.example", "/paid");
        let unpaid = paid("POST").open().await;
        assert_eq!((unpaid.status().as_u16(), unpaid.version()), (402, version));
        let payment = Wallet::new(1).pays();
        let answer = paid("POST").pays(&payment).body("the body").send().await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(answer.object("payment-response")["success"], true);
        let again = paid("POST").pays(&payment).body("the body").send().await;
        assert_eq!((again.status, again.header("idempotent-replayed")), (200, "true"));
        refused(&paid("POST").pays(&payment).body("another").send().await, "payment_used");
        assert_eq!(paid("HEAD").send().await.status, 402);
        let odd = ask(&gateway, &client, "POST", "one.example", "/%70aid").send().await;
        assert_eq!(odd.status, 400, "{}", odd.text());
    }
    let seen = upstream.seen();
    assert_eq!(seen.len(), 2);
    let bodies: Vec<_> = seen.iter().map(|seen| seen.body.as_slice()).collect();
    assert_eq!(bodies, [b"the body", b"the body"]);
}

/// An HTTP/2 client that takes its request back when the head is there has paid; its connection
/// goes on.
#[tokio::test]
async fn a_request_that_was_taken_back_is_not_served_unpaid() {
    let mut upstream = Server::start().await;
    let (gateway, trusted) = start(Plan::to(upstream.address), &[("one", &["one.example"])]).await;
    let client = client(&gateway, &trusted[0], "one.example", true);
    let payment = Wallet::new(1).pays();
    let asks = ask(&gateway, &client, "POST", "one.example", "/paid").pays(&payment).body("body");
    let serves = async {
        let half = Reply::new(200).header("content-length", "8").body("half");
        upstream.call().await.stream(half).await
    };
    let (opened, _streaming) = tokio::join!(asks.open(), serves);
    assert_eq!(opened.status().as_u16(), 200);
    assert_eq!(gateway.comes_to(&payment, "settled").await.state(), "settled");
    drop(opened);
    // Others on the same connection go on.
    let other = ask(&gateway, &client, "POST", "one.example", "/paid").send().await;
    assert_eq!(other.status, 402);
}

#[tokio::test]
async fn a_new_certificate_is_shown_from_the_next_connection_on() {
    let upstream = Upstream::start().await;
    let (gateway, old) = start(Plan::to(upstream.address), &[("one", &["one.example"])]).await;
    let asks = async |client: &Client| {
        let sent = ask(&gateway, client, "GET", "one.example", "/free").try_send().await;
        sent.map(|answer| answer.status).ok()
    };
    let before = client(&gateway, &old[0], "one.example", true);
    assert_eq!(asks(&before).await, Some(200));

    // A key that belongs to another certificate changes nothing, and it is said why.
    fs::rename(gateway.dir().join("one.pem"), gateway.dir().join("kept.pem")).unwrap();
    certify(gateway.dir(), "other", &["one.example"]);
    fs::copy(gateway.dir().join("other.pem"), gateway.dir().join("one.pem")).unwrap();
    let (status, said) = gateway.reloaded(|text| text).await;
    assert_eq!(status, 409, "{said}");
    assert!(said.contains("the certificate is no good"), "{said}");
    assert_eq!(asks(&client(&gateway, &old[0], "one.example", true)).await, Some(200));

    let new = certify(gateway.dir(), "one", &["one.example"]);
    assert_eq!(gateway.reloaded(|text| text).await.0, 200);
    assert_eq!(asks(&client(&gateway, &new, "one.example", true)).await, Some(200));
    assert_eq!(asks(&client(&gateway, &old[0], "one.example", true)).await, None);
    // Who was connected before stays.
    assert_eq!(asks(&before).await, Some(200));
}

#[tokio::test]
async fn renewed_files_are_noticed() {
    let upstream = Upstream::start().await;
    let plan = Plan::to(upstream.address).server("watch = \"on\"");
    let (gateway, _) = start(plan, &[("one", &["one.example"])]).await;
    let new = certify(gateway.dir(), "one", &["one.example"]);
    let client = client(&gateway, &new, "one.example", true);
    crate::support::eventually("the new certificate", async || {
        ask(&gateway, &client, "GET", "one.example", "/free").try_send().await.ok()
    })
    .await;
}

#[tokio::test]
async fn files_that_come_after_their_names_are_noticed() {
    let upstream = Upstream::start().await;
    let plan = Plan::to(upstream.address).server("watch = \"on\"");
    let (gateway, _) = start(plan, &[("one", &["one.example"])]).await;
    gateway.rewritten(|text| format!("{text}\n{}\n", section("two")));
    crate::support::eventually("it is refused", async || {
        let refused = gateway.metric("tollgate_reloads_total{outcome=\"refused\"}").await;
        (refused.as_deref() == Some("1")).then_some(())
    })
    .await;
    let new = certify(gateway.dir(), "two", &["two.example"]);
    let client = client(&gateway, &new, "two.example", true);
    crate::support::eventually("the other certificate", async || {
        ask(&gateway, &client, "GET", "two.example", "/free").try_send().await.ok()
    })
    .await;
}

#[tokio::test]
async fn from_plain_to_tls_is_a_restart() {
    let upstream = Upstream::start().await;
    let gateway = Plan::to(upstream.address).start().await;
    certify(gateway.dir(), "one", &["one.example"]);
    let (status, said) = gateway.reloaded(|text| format!("{text}\n{}\n", section("one"))).await;
    assert_eq!((status, said.contains("restart")), (409, true), "{said}");
}
