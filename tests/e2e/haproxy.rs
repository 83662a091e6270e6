//! HAProxy forwards to the gateway, which forwards to the API, as the example of `deploy/` has it.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use tokio::task::LocalSet;

use super::chain::Chain;
use super::ingress::{self, Proxy, buys, free, header, program};
use super::own;
use super::sdk::{CLIENTS, Client};
use crate::blackbox::refusals::refused;
use crate::support::eventually;
use crate::support::gateway::Gateway;
use crate::support::load::{Load, settles_slowly};
use crate::support::plan::{PRICED, Plan};
use crate::support::postgres;
use crate::support::redis::Redis;
use crate::support::upstream::Upstream;
use crate::support::wallet::Wallet;

/// HAProxy as the example has it, before these gateways. Where they are is all that is changed, and
/// it connects from an address that no client has.
async fn before(gateways: &[&Gateway], way: Way) -> Proxy {
    for gateway in gateways {
        gateway.ready().await;
    }
    let (address, dir) = (free(), gateways[0].dir());
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/examples/haproxy.cfg");
    let text = fs::read_to_string(example).unwrap();
    let of = |name: &str, public: SocketAddr, admin: SocketAddr| {
        format!("server {name} {public} port {} check-proto h1", admin.port())
    };
    let usual = |port| SocketAddr::from(([127, 0, 0, 1], port));
    let (one, bind) = (of("one", usual(8402), usual(9402)), format!("bind {} ", usual(8080)));
    assert!(text.contains(&one) && text.contains(&bind), "{text}");
    let servers: String = (1..)
        .zip(gateways)
        .map(|(n, gateway)| of(&format!("n{n}"), gateway.public, gateway.admin))
        .map(|server| format!("{server} source {HAPROXY}{}\n    ", way.rest()))
        .collect();
    let text = text.replace(&one, &servers).replace(&bind, &format!("bind {address} "));
    fs::write(dir.join("haproxy.cfg"), text).unwrap();
    let mut command = Command::new(program("haproxy", "/usr/sbin/haproxy"));
    // One process, which is the one that is killed.
    command.args(["-db", "-f", "haproxy.cfg"]);
    Proxy::run(command, address, dir).await
}

/// What it speaks to a gateway.
#[derive(Clone, Copy, Debug)]
enum Way {
    Http1,
    Http2,
}

impl Way {
    /// What a server's line has more, as the example says.
    fn rest(self) -> &'static str {
        match self {
            Self::Http1 => "",
            Self::Http2 => " proto h2",
        }
    }
}

fn plan(upstream: SocketAddr) -> Plan {
    let plan = Plan::to(upstream).server(&format!("trusted_proxies = [\"{HAPROXY}/32\"]"));
    plan.route("match = \"POST /v1/answer\"", PRICED)
}

#[tokio::test]
async fn published_clients_pay_through_a_proxy_that_only_forwards() {
    let clients = [CLIENTS[0], CLIENTS[4]];
    let chain = Chain::start(&clients.map(Client::payer)).await;
    let facilitator = format!("http = {{ url = \"http://{}\" }}", chain.facilitator());
    for way in WAYS {
        let api = ingress::api().await;
        let gateway = plan(api.address).facilitator(&facilitator).start().await;
        let proxy = before(&[&gateway], way).await;
        for client in clients {
            let transaction = buys(client, &gateway, &proxy).await;
            let paid = own::of(client.payer());
            assert_eq!(chain.transfers(&transaction).await, [paid], "{} {way:?}", client.name);
            let [seen] = &*api.taken() else { panic!("{way:?}: asked once") };
            assert_eq!((&*seen.target, &*seen.body), ("/v1/answer", &b"{}"[..]));
            assert_eq!(header(seen, "x-tollgate-payer"), Some(client.payer().to_string()));
            for proof in ["payment-signature", "x-payment"] {
                assert_eq!(header(seen, proof), None, "{} {proof}", client.name);
            }
        }
        let line = gateway.logged("a paid request", |line| line["outcome"] == "paid").await;
        assert_eq!(line["client"], "127.0.0.1");
    }
}

#[tokio::test]
async fn bodies_and_long_headers_pass_and_an_answer_is_given_again() {
    for way in WAYS {
        let api = ingress::api().await;
        let gateway = plan(api.address).start().await;
        let proxy = before(&[&gateway], way).await;
        let body = vec![b'x'; 3_000_000];
        let target = "/v1/answer?a=%20&b=%2F";
        let send = || proxy.ask("POST", target).body(body.clone());
        refused(&send().send().await, "payment_required");
        assert!(api.seen().is_empty());
        let payment = Wallet::new(1).pays();
        for _ in 0..2 {
            let paid = send().pays(&payment).send().await;
            assert_eq!((paid.status, &*paid.text()), (200, "served"), "{way:?}");
            assert_eq!(paid.object("payment-response")["success"], true);
        }
        let [seen] = &*api.taken() else { panic!("{way:?}: asked once") };
        assert_eq!((&*seen.target, seen.body.len()), (target, body.len()));
        assert_eq!(gateway.transfers().len(), 1);

        // What is too long for one of them is too long for the gateway.
        let long = "x".repeat(30 << 10);
        let ask = proxy.ask("POST", target).header("payment-signature", &long);
        refused(&ask.send().await, "payment_malformed");
    }
}

/// Whatever a client says of where it is, it is where HAProxy has seen it.
#[tokio::test]
async fn nobody_behind_haproxy_is_somebody_else() {
    let api = ingress::api().await;
    let limits = "unpaid = { rate = \"2/min\", by = \"ip\" }\nrefused = \"off\"";
    let gateway = plan(api.address).limits(limits).start().await;
    let proxy = before(&[&gateway], Way::Http1).await;
    let said = ["192.0.2.1", HAPROXY, "192.0.2.2"];
    let mut told = Vec::new();
    for address in said {
        let ask = proxy.ask("POST", "/v1/answer").header("x-forwarded-for", address);
        told.push(ask.send().await.status);
    }
    assert_eq!(told, [402, 402, 429]);
    let line = gateway.logged("the last", |line| line["status"] == 429).await;
    assert_eq!(line["client"], "127.0.0.1");
}

/// One of two gateways ends: HAProxy sees it in time, and no request fails.
#[tokio::test]
async fn a_gateway_leaves_and_haproxy_sends_it_nothing_more() {
    LocalSet::new().run_until(leaves()).await;
}

async fn leaves() {
    let (upstream, facilitator) = (Upstream::start().await, settles_slowly().await);
    let (url, redis) = (postgres::database().await, Redis::start());
    let starts = async || {
        let plan = Plan::to(upstream.address).server("grace = \"1h\"\ndrain = \"10s\"");
        plan.settled_by(&facilitator).shared(&url, &redis).start().await
    };
    let (mut first, second) = (starts().await, starts().await);
    let proxy = before(&[&first, &second], Way::Http1).await;
    let load = Load::on(proxy.address);
    let leaving = async {
        load.goes_on_for(40).await;
        first.terminate();
        assert_eq!(first.ended().await.code(), Some(0));
        load.goes_on_for(40).await;
        load.ends();
    };
    tokio::join!(load.runs(), leaving);
    assert!(load.agrees(&facilitator, &second).await > 40);
    assert!(!first.said().contains("the grace period is over"), "{}", first.said());

    second.killed().await;
    eventually("nobody", async || {
        let answer = proxy.ask("POST", "/paid").send().await;
        (answer.status == 503).then_some(())
    })
    .await;
}

const WAYS: [Way; 2] = [Way::Http1, Way::Http2];
/// From where it connects.
const HAPROXY: &str = "127.0.0.2";
