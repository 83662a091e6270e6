//! Upstreams by TLS: whom the gateway trusts, and as whom it comes.

use std::fs;
use std::process::Command;
use std::rc::Rc;

use super::refusals::refused;
use crate::support::authority::{Authority, Callers, Front};
use crate::support::client::Answer;
use crate::support::eventually;
use crate::support::gateway::Gateway;
use crate::support::plan::{PRICED, Plan};
use crate::support::upstream::Upstream;
use crate::support::wallet::{Payment, Wallet};

const NAME: &str = "api.internal";
const KNOWN: &str = "certificate = \"caller.pem\", key = \"caller.key\"";

/// In front of a server that is reached by TLS, with these lines in `tls`.
fn plan(front: &Front, tls: &str) -> Plan {
    let url = format!("https://{}", front.address);
    Plan::to_upstream(&format!("url = \"{url}\"\ntls = {{ server_name = \"{NAME}\", {tls} }}"))
}

/// With the files of both: `ca` vouches for servers, `caller` is certified by another.
async fn start(plan: Plan, servers: &Authority, callers: &Authority) -> Gateway {
    let write = |folder: &std::path::Path| {
        servers.write(folder, "ca");
        callers.write(folder, "other");
        callers.certify(folder, "caller");
    };
    plan.start_after(write).await
}

async fn pays(gateway: &Gateway, payment: &Payment) -> Answer {
    gateway.ask("POST", "/paid").pays(payment).body("the body").send().await
}

async fn is_served(gateway: &Gateway) {
    let payment = Wallet::new(1).pays();
    let answer = pays(gateway, &payment).await;
    assert_eq!((answer.status, answer.text().as_str()), (200, "served"));
    gateway.comes_to(&payment, "settled").await;
}

async fn costs_nothing(gateway: &Gateway) {
    let payment = Wallet::new(1).pays();
    refused(&pays(gateway, &payment).await, "upstream_unavailable");
    gateway.comes_to(&payment, "released").await;
}

#[tokio::test]
async fn its_own_authority_is_trusted_and_no_other() {
    let upstream = Upstream::start().await;
    let (servers, others) = (Authority::new(), Authority::new());
    let front = Front::of(upstream.address, NAME, &servers, Callers::Anyone).await;
    let trusts = async |tls| start(plan(&front, tls), &servers, &others).await;
    is_served(&trusts("ca = \"ca.pem\"").await).await;
    assert_eq!(upstream.taken().len(), 1);
    costs_nothing(&trusts("ca = \"other.pem\"").await).await;
    // Nor is it one that the system trusts.
    costs_nothing(&trusts("").await).await;
    let other_name = Front::of(upstream.address, "other.internal", &servers, Callers::Anyone).await;
    let gateway = start(plan(&other_name, "ca = \"ca.pem\""), &servers, &others).await;
    costs_nothing(&gateway).await;
    assert_eq!(upstream.seen().len(), 0);
}

/// pingora by itself panics.
#[tokio::test]
async fn whom_the_system_trusts_is_trusted_though_one_of_them_cannot_be() {
    let upstream = Upstream::start().await;
    let servers = Authority::new();
    let front = Front::of(upstream.address, NAME, &servers, Callers::Anyone).await;
    let dir = Rc::new(plan(&front, "").folder());
    servers.write(dir.path(), "ca");
    let folder = dir.path().join("trusted");
    fs::create_dir(&folder).unwrap();
    let broken = "-----BEGIN CERTIFICATE-----\nAAECAwQFBgcICQ==\n-----END CERTIFICATE-----\n";
    fs::write(folder.join("broken.pem"), broken).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_tollgate"));
    command.env("SSL_CERT_FILE", dir.path().join("ca.pem")).env("SSL_CERT_DIR", &folder);
    let gateway = Gateway::start_with(&mut command, dir).await;
    is_served(&gateway).await;
    assert!(gateway.said().contains("the system trusts a certificate that is none"));

    // Nor does it need anybody to be trusted.
    let dir = Rc::new(plan(&front, "").folder());
    let mut command = Command::new(env!("CARGO_BIN_EXE_tollgate"));
    command.env("SSL_CERT_FILE", "/nowhere.pem").env("SSL_CERT_DIR", "/nowhere");
    let gateway = Gateway::start_with(&mut command, dir).await;
    costs_nothing(&gateway).await;
}

#[tokio::test]
async fn a_server_that_asks_is_shown_a_certificate() {
    let upstream = Upstream::start().await;
    let (servers, callers) = (Authority::new(), Authority::new());
    let asks = Callers::CertifiedBy(&callers);
    let front = Front::of(upstream.address, NAME, &servers, asks).await;
    is_served(&start(plan(&front, &format!("ca = \"ca.pem\", {KNOWN}")), &servers, &callers).await)
        .await;
    costs_nothing(&start(plan(&front, "ca = \"ca.pem\""), &servers, &callers).await).await;
    let gateway =
        start(plan(&front, &format!("ca = \"ca.pem\", {KNOWN}")), &servers, &servers).await;
    costs_nothing(&gateway).await;
    assert_eq!(upstream.seen().len(), 1);
}

/// A connection that was opened as somebody carries nothing of an upstream that is nobody.
#[tokio::test]
async fn connections_of_two_upstreams_are_not_mixed() {
    let upstream = Upstream::start().await;
    let (servers, callers) = (Authority::new(), Authority::new());
    let asks = Callers::CertifiedBy(&callers);
    let front = Front::of(upstream.address, NAME, &servers, asks).await;
    let url = format!("url = \"https://{}\"", front.address);
    let bare = |tls: &str| format!("{url}\ntls = {{ server_name = \"{NAME}\", {tls} }}");
    let anyone = format!("[upstreams.anyone]\n{}", bare("ca = \"ca.pem\""));
    let trusts = format!("[upstreams.trusts]\n{}", bare(&format!("ca = \"other.pem\", {KNOWN}")));
    let route = |name: &str| {
        format!("[[routes]]\nmatch = \"GET /{name}\"\nupstream = \"{name}\"\nprice = \"free\"")
    };
    let plan = plan(&front, &format!("ca = \"ca.pem\", {KNOWN}"));
    let plan = plan.section(&anyone).section(&trusts);
    let plan = plan.section(&route("anyone")).section(&route("trusts"));
    let gateway = start(plan, &servers, &callers).await;
    for _ in 0..3 {
        is_served(&gateway).await;
        for name in ["/anyone", "/trusts"] {
            refused(&gateway.ask("GET", name).send().await, "upstream_unavailable");
        }
    }
    assert_eq!(upstream.seen().len(), 3);
}

/// Another gateway is the server of HTTP/2.
#[tokio::test]
async fn http_2_is_spoken_inside_it_all_the_same() {
    let upstream = Upstream::start().await;
    let behind = Plan::to(upstream.address);
    let behind = behind.route("match = \"POST /paid-for\"", "price = \"free\"").start().await;
    let (servers, callers) = (Authority::new(), Authority::new());
    let asks = Callers::CertifiedBy(&callers);
    let front = Front::of(behind.public, NAME, &servers, asks).await;
    let two = |tls: &str| {
        let check = "health = { path = \"/free\", every = \"20ms\" }";
        plan(&front, tls).upstream("http = \"2\"").upstream(check)
    };
    let known = two(&format!("ca = \"ca.pem\", {KNOWN}"));
    let gateway =
        start(known.route("match = \"POST /paid-for\"", PRICED), &servers, &callers).await;
    for _ in 0..3 {
        let payment = Wallet::new(1).pays();
        let answer = gateway.ask("POST", "/paid-for").pays(&payment).body("it").send().await;
        assert_eq!((answer.status, answer.text().as_str()), (200, "served"));
        gateway.comes_to(&payment, "settled").await;
    }
    let looks = || upstream.seen().iter().filter(|seen| seen.target == "/free").count();
    eventually("two looks", async || (looks() >= 2).then_some(())).await;
    gateway.ready().await;

    let unknown = start(two("ca = \"ca.pem\""), &servers, &callers).await;
    eventually("not ready", async || {
        let (status, said) = unknown.admin("/readyz").await;
        (status == 503 && said.contains("the checks of all its backends fail")).then_some(())
    })
    .await;
}

/// Another certificate is shown from the next connection on: it is read again, and so is `ca`.
#[tokio::test]
async fn renewed_files_are_taken_over_by_a_reload() {
    let upstream = Upstream::start().await;
    let (servers, callers) = (Authority::new(), Authority::new());
    let asks = Callers::CertifiedBy(&callers);
    let front = Front::of(upstream.address, NAME, &servers, asks).await;
    let tls = format!("ca = \"ca.pem\", {KNOWN}");
    let gateway = start(plan(&front, &tls), &servers, &servers).await;
    costs_nothing(&gateway).await;
    callers.certify(gateway.dir(), "caller");
    let (status, said) = gateway.reloaded(|text| text).await;
    assert_eq!(status, 200, "{said}");
    is_served(&gateway).await;
    std::fs::remove_file(gateway.dir().join("caller.key")).unwrap();
    let (status, said) = gateway.reloaded(|text| text).await;
    assert_eq!((status, said.contains("the file cannot be read")), (409, true), "{said}");
    assert_eq!(pays(&gateway, &Wallet::new(1).pays()).await.status, 200);
}
