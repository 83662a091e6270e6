//! Certificates that an authority issues by itself, as Let's Encrypt's own server for tests does.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use reqwest::tls::TlsInfo;
use reqwest::{Certificate, Client, Response, Version};
use serde_json::json;

use super::tls::{ask, client};
use crate::support::certificate::certify;
use crate::support::client::Ask;
use crate::support::gateway::Gateway;
use crate::support::pebble::Place;
use crate::support::plan::Plan;
use crate::support::server::{Reply, Server};
use crate::support::upstream::Upstream;
use crate::support::wallet::Wallet;
use crate::support::{client as clients, eventually};

/// How many orders came to this.
async fn orders(gateway: &Gateway, outcome: &str) -> u32 {
    let name = format!("tollgate_certificate_orders_total{{outcome=\"{outcome}\"}}");
    gateway.metric(&name).await.map_or(0, |count| count.parse().unwrap())
}

/// Waits until so many certificates were issued. The authority refuses one request in twenty, so
/// that clients learn to ask again; three in a row end an order, and a reload begins another.
async fn issued(gateway: &Gateway, count: u32) {
    eventually("a certificate", async || {
        if gateway.admin("/readyz").await.1.contains("badNonce") {
            assert_eq!(gateway.reloaded(|text| text).await.0, 200);
        }
        (orders(gateway, "issued").await >= count).then_some(())
    })
    .await;
}

/// What a request to this name is answered by TLS, if the name's certificate is good.
async fn sees(gateway: &Gateway, root: &[u8], name: &str) -> reqwest::Result<u16> {
    let client = client(gateway, root, name, true);
    ask(gateway, &client, "GET", name, "/free").try_send().await.map(|answer| answer.status)
}

/// Whoever comes by TLS to this name pays and is served.
async fn is_paid(gateway: &Gateway, root: &[u8], name: &str) {
    for (http2, version) in [(true, Version::HTTP_2), (false, Version::HTTP_11)] {
        let client = client(gateway, root, name, http2);
        let unpaid = ask(gateway, &client, "GET", name, "/paid").open().await;
        assert_eq!((unpaid.status().as_u16(), unpaid.version()), (402, version));
        let payment = Wallet::new(1).pays();
        let paid = ask(gateway, &client, "GET", name, "/paid").pays(&payment).send().await;
        assert_eq!((paid.status, paid.text()), (200, "served".to_owned()));
    }
}

#[tokio::test]
async fn by_tls_alpn_01_names_are_certified_and_a_restart_orders_nothing() {
    let place = Place::new();
    let pebble = place.opens(json!({})).await;
    let upstream = Upstream::start().await;
    let names = "[\"one.example\", \"TWO.example\"]";
    let section = place.section(names, "contact = \"ops@example.com\"");
    let plan = Plan::to(upstream.address).listen(place.tls()).section(&section);
    let gateway = plan.start().await;
    issued(&gateway, 1).await;
    let root = place.root().await;
    for name in ["one.example", "two.example"] {
        is_paid(&gateway, &root, name).await;
    }
    // Whoever names another is shown what it refuses.
    assert!(sees(&gateway, &root, "three.example").await.is_err());
    let is_well = async || (gateway.admin("/readyz").await.1 == "ready\n").then_some(());
    eventually("no trouble", is_well).await;
    let mode = |path: &str| {
        let found = fs::metadata(gateway.dir().join(place.folder()).join(path)).unwrap();
        found.permissions().mode() & 0o777
    };
    let modes = ["", "account.json", "certificate.pem", "orders.json"].map(mode);
    assert_eq!(modes, [0o700, 0o600, 0o600, 0o600]);

    // Nobody is there to issue another.
    pebble.closes(&place).await;
    let gateway = gateway.killed_and_restarted().await;
    assert_eq!(sees(&gateway, &root, "two.example").await.unwrap(), 200);
    gateway.ready().await;
    assert_eq!(gateway.admin("/readyz").await.1, "ready\n");
    for outcome in ["issued", "refused", "away", "ours"] {
        assert_eq!(orders(&gateway, outcome).await, 0, "{outcome}");
    }
}

#[tokio::test]
async fn by_http_01_names_are_certified_and_everybody_else_is_sent_to_https() {
    let place = Place::new();
    let _pebble = place.opens(json!({})).await;
    let upstream = Upstream::start().await;
    let more = format!("challenge = \"http-01\"\nhttp = \"{}\"", place.http());
    let section = place.section("[\"one.example\", \"two.example\"]", &more);
    let plan = Plan::to(upstream.address).listen(place.tls()).section(&section);
    let gateway = plan.start().await;
    issued(&gateway, 1).await;
    is_paid(&gateway, &place.root().await, "two.example").await;

    let seen = upstream.taken().len();
    let plain = clients::client();
    let asks = async |method: &str, host: &str, path: &str| {
        let ask = Ask::new(&plain, method, &format!("http://{}{path}", place.http()));
        let answer = ask.header("host", host).body("the body").send().await;
        assert_eq!(answer.header("connection"), "close", "{answer:?}");
        assert_eq!(answer.text(), "", "{answer:?}");
        (answer.status, answer.header("location").to_owned())
    };
    for (method, host, path, to) in [
        ("GET", "two.example", "/free?a=b", "https://two.example/free?a=b"),
        ("POST", "Two.Example:80", "/paid", "https://two.example/paid"),
        // Never where a client says.
        ("GET", "elsewhere.example", "/", "https://one.example/"),
        ("GET", "", "/free", "https://one.example/free"),
    ] {
        assert_eq!(asks(method, host, path).await, (308, to.to_owned()), "{method} {host}{path}");
    }
    for path in ["/.well-known/acme-challenge/", "/.well-known/acme-challenge/any"] {
        assert_eq!(asks("GET", "one.example", path).await, (404, String::new()), "{path}");
    }
    let paying = Ask::new(&plain, "GET", &format!("http://{}/paid", place.http()));
    assert_eq!(paying.pays(&Wallet::new(1).pays()).send().await.status, 308);
    assert!(upstream.taken().is_empty(), "{seen} before");
}

/// The certificate that a new connection is shown, if it is good, and the answer.
async fn begins(gateway: &Gateway, root: &[u8], path: &str) -> Option<(Vec<u8>, Response)> {
    let client = Client::builder()
        .no_proxy()
        .tls_certs_only([Certificate::from_pem(root).unwrap()])
        .tls_info(true)
        .resolve("one.example", gateway.public)
        .build()
        .unwrap();
    let url = format!("https://one.example:{}{path}", gateway.public.port());
    let answer = client.get(url).send().await.ok()?;
    let shown = answer.extensions().get::<TlsInfo>().unwrap().peer_certificate().unwrap().to_vec();
    Some((shown, answer))
}

#[tokio::test]
async fn a_certificate_is_renewed_while_requests_run() {
    let place = Place::new();
    let _pebble = place.opens(json!({ "certificateValidityPeriod": 24 })).await;
    let mut upstream = Server::start().await;
    let section = place.section("\"one.example\"", "");
    let plan = Plan::to(upstream.address).listen(place.tls()).section(&section);
    let gateway = plan.start().await;
    issued(&gateway, 1).await;
    let root = place.root().await;
    let streams = async { upstream.call().await.stream(Reply::new(200)).await };
    let (begun, mut streaming) = tokio::join!(begins(&gateway, &root, "/free"), streams);
    let (first, running) = begun.unwrap();
    streaming.send("one ").await;

    issued(&gateway, 2).await;
    eventually("another certificate", async || {
        let (shown, unpaid) = begins(&gateway, &root, "/paid").await?;
        assert_eq!(unpaid.status(), 402);
        (shown != first).then_some(())
    })
    .await;
    streaming.send("two").await;
    streaming.end().await;
    assert_eq!(running.text().await.unwrap(), "one two");
}

#[tokio::test]
async fn an_authority_that_refuses_or_is_away_is_left_alone_and_the_gateway_goes_on() {
    let place = Place::new();
    let upstream = Upstream::start().await;
    let section = place.section("\"blocked.example\"", "");
    let files = "[[certificates]]\nchain = \"own.pem\"\nkey = \"own.key\"";
    let plan = Plan::to(upstream.address).listen(place.tls()).section(files).section(&section);
    let mut own = Vec::new();
    let gateway = plan.start_after(|dir| own = certify(dir, "own", &["own.example"])).await;

    let tells = async |outcome: &str, why: &str| {
        eventually(outcome, async || (orders(&gateway, outcome).await == 1).then_some(())).await;
        let line = "certificate of blocked.example: there is none: ";
        eventually(why, async || {
            let (status, said) = gateway.admin("/readyz").await;
            let told = said.lines().find_map(|told| told.strip_prefix(line));
            (status == 200 && told?.contains(why)).then_some(())
        })
        .await;
        let said = gateway.said();
        let logged = said.lines().find(|line| line.contains("no certificate was issued"));
        assert!(logged.is_some_and(|line| line.contains("\"again_in_seconds\":1")), "{said}");
        assert_eq!(sees(&gateway, &own, "own.example").await.unwrap(), 200);
        let ends = format!("tollgate_certificate_ends_seconds{{authority=\"{}\"}}", place.own());
        assert_eq!(gateway.metric(&ends).await.as_deref(), Some("0"));
    };
    tells("away", "Connection refused").await;
    let _pebble = place.opens(json!({ "domainBlocklist": ["blocked.example"] })).await;
    // Whoever has mended something says so by a reload.
    assert_eq!(gateway.reloaded(|text| text).await.0, 200);
    tells("refused", "policy").await;

    let mended = |text: String| text.replace("blocked.example", "one.example");
    assert_eq!(gateway.reloaded(mended).await.0, 200);
    issued(&gateway, 1).await;
    assert_eq!(sees(&gateway, &place.root().await, "one.example").await.unwrap(), 200);
    assert_eq!(sees(&gateway, &own, "own.example").await.unwrap(), 200);
}

#[tokio::test]
async fn an_authority_is_taken_up_and_left_by_a_reload_beside_files() {
    let place = Place::new();
    let _pebble = place.opens(json!({})).await;
    let upstream = Upstream::start().await;
    let files = "[[certificates]]\nchain = \"own.pem\"\nkey = \"own.key\"";
    let plan = Plan::to(upstream.address).listen(place.tls()).section(files);
    let mut own = Vec::new();
    let gateway = plan.start_after(|dir| own = certify(dir, "own", &["own.example"])).await;
    let root = place.root().await;
    assert_eq!(sees(&gateway, &own, "own.example").await.unwrap(), 200);
    assert!(sees(&gateway, &root, "one.example").await.is_err());

    // A listener is not opened by a reload.
    let listens = place.section("\"one.example\"", &format!("http = \"{}\"", place.http()));
    let (status, said) = gateway.reloaded(|text| format!("{text}\n{listens}")).await;
    assert_eq!((status, said.contains("`acme.http` changed")), (409, true), "{said}");
    let section = place.section("\"one.example\"", "");
    assert_eq!(gateway.reloaded(|text| text.replace(&listens, &section)).await.0, 200);
    issued(&gateway, 1).await;
    is_paid(&gateway, &root, "one.example").await;
    is_paid(&gateway, &own, "own.example").await;
    let ends = format!("tollgate_certificate_ends_seconds{{authority=\"{}\"}}", place.own());
    assert!(gateway.metric(&ends).await.is_some_and(|seconds| seconds != "0"));

    assert_eq!(gateway.reloaded(|text| text.replace(&section, "")).await.0, 200);
    eventually("nothing of it", async || {
        let gone = sees(&gateway, &root, "one.example").await.is_err();
        (gone && gateway.metric(&ends).await.is_none()).then_some(())
    })
    .await;
    assert_eq!(sees(&gateway, &own, "own.example").await.unwrap(), 200);
}

#[tokio::test]
async fn without_any_certificate_it_is_the_gateway_that_refuses() {
    let place = Place::new();
    let upstream = Upstream::start().await;
    let section = place.section("\"one.example\"", "");
    let plan = Plan::to(upstream.address).listen(place.tls()).section(&section);
    let gateway = plan.start().await;
    let any = certify(gateway.dir(), "any", &["one.example"]);
    let refused = sees(&gateway, &any, "one.example").await.unwrap_err();
    assert!(format!("{refused:?}").contains("AccessDenied"), "{refused:?}");
    gateway.ready().await;
    let (status, said) =
        gateway.reloaded(|text| text.replace("[acme]", "[acme]\nhttp = \"127.0.0.1:0\"")).await;
    assert_eq!((status, said.contains("restart")), (409, true), "{said}");
}

#[tokio::test]
async fn an_authority_is_told_of_an_account_that_it_knows() {
    let place = Place::new();
    let known = json!({
        "externalAccountBindingRequired": true,
        "externalAccountMACKeys": { "kid-1": EXTERNAL },
    });
    let _pebble = place.opens(known).await;
    let upstream = Upstream::start().await;
    let external = |key: &str| {
        format!("[acme.external_account]\nkid = \"kid-1\"\nkey = {{ file = \"{key}\" }}")
    };
    let section = place.section("\"one.example\"", &external("wrong.txt"));
    let plan = Plan::to(upstream.address).listen(place.tls()).section(&section);
    let gateway = plan.start_after(|dir| {
        fs::write(dir.join("wrong.txt"), EXTERNAL.to_lowercase()).unwrap();
        fs::write(dir.join("right.txt"), EXTERNAL).unwrap();
    });
    let gateway = gateway.await;
    eventually("no", async || (orders(&gateway, "refused").await == 1).then_some(())).await;
    assert_eq!(gateway.reloaded(|text| text.replace("wrong.txt", "right.txt")).await.0, 200);
    issued(&gateway, 1).await;
    assert_eq!(sees(&gateway, &place.root().await, "one.example").await.unwrap(), 200);
}

/// As Pebble's own example has it.
const EXTERNAL: &str = "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W";
